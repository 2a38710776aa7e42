"""The Kubernetes operator: collections and models as custom resources, reconciled into workloads and routes."""
