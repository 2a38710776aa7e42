"""VectorCollections of the scenario."""

from __future__ import annotations

from typing import Any, Final

from tests.e2e.kubectl import Manifest
from tests.e2e.points import DIMENSION

FILMS: Final = "films"
MODEL: Final = "words"

COLLECTION_LABEL: Final = "vector.citadel-ai.com/collection"


def collection(name: str, **spec: Any) -> Manifest:
    """Dedicated, of one shard and 1 GiB, where `spec` says nothing else; None leaves a field out."""
    fields = {"dimensions": DIMENSION, "shards": 1, "storage": {"size": "1Gi"}, **spec}
    return {
        "apiVersion": "vector.citadel-ai.com/v1alpha1",
        "kind": "VectorCollection",
        "metadata": {"name": name},
        "spec": {field: value for field, value in fields.items() if value is not None},
    }


def of(name: str) -> str:
    """Selector of what belongs to a collection."""
    return f"{COLLECTION_LABEL}={name}"
