"""The version of this package, which goes with the servers of the same version."""

__version__ = "0.1.0"
