"""What an apply is refused for, beyond what the schema and its rules can say: it depends on other objects.

Pure but for the store. What is unclear is let through: the reconcile tells it by a condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hanax.core.errors import InvalidArgument
from hanax.core.resources.collections import VectorCollectionSpec
from hanax.core.resources.models import ExternalModelSpec
from hanax.core.resources.names import EXTERNAL_MODEL, VECTOR_COLLECTION
from hanax.core.resources.objects import spec_of
from hanax.core.routing import Aliases
from hanax_operator.declarations import Declarations
from hanax_operator.objects import MODEL, Manifest, is_deleting, key
from hanax_operator.store import Store


class Admission:
    """`aliases`: those in force; None where they can't be read."""

    def __init__(
        self, store: Store, declarations: Declarations, aliases: Callable[[], Aliases | None]
    ) -> None:
        self._store = store
        self._declarations = declarations
        self._aliases = aliases

    def review(self, request: Mapping[str, Any]) -> str:
        """Why an AdmissionRequest is refused, empty when it is not."""
        obj = request.get("object")
        if not isinstance(obj, Mapping) or is_deleting(obj):
            return ""
        old = request.get("oldObject")
        if old is not None and old.get("spec") == obj.get("spec"):
            # A finalizer or a label must be able to change, whatever became of the model meanwhile.
            return ""
        kind = (request.get("kind") or {}).get("kind")
        try:
            if kind == VECTOR_COLLECTION.kind:
                return self._review_collection(obj, is_new=old is None)
            if kind == EXTERNAL_MODEL.kind:
                spec_of(ExternalModelSpec, obj)
        except InvalidArgument as error:
            return error.message
        return ""

    def _review_collection(self, obj: Manifest, *, is_new: bool) -> str:
        spec = spec_of(VectorCollectionSpec, obj)
        name = str(obj["metadata"].get("name", ""))
        aliases = self._aliases()
        if is_new and aliases is not None and name in aliases.collection_by_alias:
            target = aliases.collection_by_alias[name]
            return f"metadata.name: {name!r} is an alias of collection {target!r}; remove the alias first"
        if spec.embedding_model is None or not is_new:
            return ""
        found = self._store.get(key(MODEL, spec.embedding_model))
        if found is None:
            return (
                f"spec.embeddingModel: there is no ExternalModel {spec.embedding_model!r} in this namespace; "
                "apply the model first"
            )
        try:
            model = self._declarations.models.parse(found)
        except InvalidArgument:
            return ""
        if model.spec.dimensions != spec.dimensions:
            return (
                f"spec.dimensions: expected {model.spec.dimensions}, as many as model "
                f"{spec.embedding_model!r} makes, got {spec.dimensions}"
            )
        return ""
