"""What the API server tells, handed on: kopf's decorators and nothing else."""
