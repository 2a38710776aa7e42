"""What an apply is refused for beyond the schema: models and names that other objects have."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.errors import Unavailable
from hanax.core.routing import Aliases
from hanax_operator.admission import Admission
from hanax_operator.declarations import Declarations
from hanax_operator.objects import Manifest, ObjectKey, key_of
from hanax_operator.store import Store
from tests.unit.operator.memory_api import MemoryApi
from tests.unit.operator.samples import collection_object, model_object

ALIASES = Aliases(collection_by_alias={"latest": "docs"})


class SilentApi(MemoryApi):
    async def get(self, key: ObjectKey) -> Manifest | None:
        raise Unavailable("it does not answer")


async def review(obj: dict[str, Any] | None, old: dict[str, Any] | None = None, **more: Any) -> str:
    store = Store(())
    store.put(model_object("mini"))
    api = more.get("api", MemoryApi())
    aliases = more.get("aliases", ALIASES)
    admission = Admission(api.as_api(), store, Declarations(store), lambda: aliases)
    kind = (obj or old or {"kind": "VectorCollection"})["kind"]
    return await admission.review({"kind": {"kind": kind}, "object": obj, "oldObject": old})


@pytest.mark.parametrize(
    ("obj", "refusal"),
    [
        (collection_object("docs"), ""),
        (collection_object("docs", {"embeddingModel": "mini"}), ""),
        (collection_object("docs", {"embeddingModel": "none"}), "spec.embeddingModel: there is no"),
        (
            collection_object("docs", {"embeddingModel": "mini", "dimensions": 5}),
            "spec.dimensions: expected 4, as many as model 'mini' makes, got 5",
        ),
        (collection_object("latest"), "metadata.name: 'latest' is an alias of collection 'docs'"),
        (collection_object("docs", {"dimensions": 0}), "spec.dimensions"),
        (model_object("other"), ""),
        (model_object("other", {"dimensions": -1}), "spec.dimensions"),
    ],
)
async def test_creation(obj: dict[str, Any], refusal: str) -> None:
    found = await review(obj)
    assert found.startswith(refusal)
    assert bool(found) == bool(refusal)


async def test_a_model_that_was_applied_a_moment_before_is_known() -> None:
    api, model = MemoryApi(), model_object("new")
    api.objects[key_of(model)] = model
    assert await review(collection_object("docs", {"embeddingModel": "new"}), api=api) == ""
    wrong = await review(collection_object("docs", {"embeddingModel": "new", "dimensions": 5}), api=api)
    assert wrong.startswith("spec.dimensions: expected 4")


async def test_what_can_not_be_found_out_refuses_nobody() -> None:
    assert await review(collection_object("docs", {"embeddingModel": "new"}), api=SilentApi()) == ""


async def test_aliases_that_can_not_be_read_refuse_nobody() -> None:
    assert await review(collection_object("latest"), aliases=None) == ""


async def test_what_was_let_in_before_may_go_on_changing() -> None:
    before = collection_object("docs", {"embeddingModel": "gone"})
    after = collection_object("docs", {"embeddingModel": "gone", "targetRecall": 0.9})
    assert await review(after, before) == ""
    finalized = {**before, "metadata": {**before["metadata"], "finalizers": []}}
    assert await review(finalized, before) == ""


async def test_deletions_are_never_held_up() -> None:
    assert await review(None, collection_object("docs")) == ""
    gone = collection_object("latest", {"dimensions": 0}, deletionTimestamp="2026-01-01T00:00:00Z")
    assert await review(gone, collection_object("latest")) == ""
