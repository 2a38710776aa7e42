"""What an apply is refused for, beyond what the schema and its rules can say: it depends on other objects.

What is unclear is let through: the reconcile tells it by a condition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from hanax.core.errors import HanaxError, InvalidArgument
from hanax.core.resources.collections import VectorCollectionSpec
from hanax.core.resources.models import ExternalModelSpec
from hanax.core.resources.names import EXTERNAL_MODEL, VECTOR_COLLECTION
from hanax.core.resources.objects import spec_of
from hanax.core.routing import Aliases
from hanax_operator.api import Api
from hanax_operator.declarations import Declarations
from hanax_operator.objects import MODEL, Manifest, is_deleting, key
from hanax_operator.store import Store

# Well below the time that the API server waits for the review.
_ASK_S: Final = 2.0


class Admission:
    """`aliases`: those in force; None where they can't be read."""

    def __init__(
        self, api: Api, store: Store, declarations: Declarations, aliases: Callable[[], Aliases | None]
    ) -> None:
        self._api = api
        self._store = store
        self._declarations = declarations
        self._aliases = aliases

    async def review(self, request: Mapping[str, Any]) -> str:
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
                return await self._review_collection(obj, is_new=old is None)
            if kind == EXTERNAL_MODEL.kind:
                spec_of(ExternalModelSpec, obj)
        except InvalidArgument as error:
            return error.message
        return ""

    async def _review_collection(self, obj: Manifest, *, is_new: bool) -> str:
        spec = spec_of(VectorCollectionSpec, obj)
        name = str(obj["metadata"].get("name", ""))
        aliases = self._aliases()
        if is_new and aliases is not None and name in aliases.collection_by_alias:
            target = aliases.collection_by_alias[name]
            return f"metadata.name: {name!r} is an alias of collection {target!r}; remove the alias first"
        if spec.embedding_model is None or not is_new:
            return ""
        try:
            found = await self._find_model(spec.embedding_model)
        except (HanaxError, TimeoutError):
            return ""
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

    async def _find_model(self, name: str) -> Manifest | None:
        """Raises HanaxError or TimeoutError where the API server can't be asked.

        A model that is applied together with its collection is there before the watch has told of it.
        """
        found = self._store.get(key(MODEL, name))
        if found is not None:
            return found
        async with asyncio.timeout(_ASK_S):
            return await self._api.get(key(MODEL, name))
