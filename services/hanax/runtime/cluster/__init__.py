"""What a service needs of the cluster that it runs in. Nothing here is imported on one machine."""
