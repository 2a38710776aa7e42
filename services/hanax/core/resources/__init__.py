"""The custom resources of the cluster: what people write, what they are told, and the CRDs of both."""
