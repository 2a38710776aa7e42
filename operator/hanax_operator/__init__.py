"""The Kubernetes operator: collections and models, from custom resources to workloads and routes."""
