"""Each state of an object is parsed once, and one that can't be read keeps no other from being read."""

from __future__ import annotations

import pytest

from hanax.core.errors import InvalidArgument
from hanax.core.resources.collections import Collection
from hanax_operator.declarations import Declared
from hanax_operator.objects import COLLECTION, Manifest, name_of
from hanax_operator.store import Store
from tests.unit.operator.samples import collection_object


class Parser:
    """Counts, and has a defect that one name brings up."""

    def __init__(self) -> None:
        self.parsed: list[str] = []

    def __call__(self, obj: Manifest) -> Collection:
        self.parsed.append(name_of(obj))
        if name_of(obj) == "bad":
            raise TypeError("a defect")
        return Collection.parse(obj)


def test_a_defect_that_one_object_brings_up_stays_with_that_object() -> None:
    store, parser = Store(()), Parser()
    declared = Declared(store, COLLECTION, parser)
    for name in ("a", "bad", "c"):
        store.put(collection_object(name))
    assert [found.name for found in declared.readable()] == ["a", "c"]
    assert [name_of(found) for found in declared.damaged()] == ["bad"]
    with pytest.raises(InvalidArgument, match="a defect"):
        declared.parse(collection_object("bad"))


def test_a_state_is_parsed_once() -> None:
    store, parser = Store(()), Parser()
    declared = Declared(store, COLLECTION, parser)
    store.put(collection_object("a"))
    for _ in range(3):
        declared.readable()
    store.put(collection_object("a", resourceVersion="11"))
    declared.readable()
    declared.readable()
    assert parser.parsed == ["a", "a"]
