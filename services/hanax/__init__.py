"""HANA-X Vector: a vector database and embedding platform."""

__version__ = "0.1.0"
