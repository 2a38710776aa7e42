"""The store holds the latest state of each object, whichever of watch and list tells it first."""

from __future__ import annotations

from typing import Any

import pytest

from hanax_operator.objects import POD, SERVICE, key
from hanax_operator.store import Store

LABEL = "group/collection"


def pod(name: str, version: int, uid: str = "u", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


@pytest.fixture
def store() -> Store:
    return Store((LABEL,))


def names(store: Store) -> list[str]:
    return [obj["metadata"]["name"] for obj in store.of_kind(POD)]


def test_an_older_state_is_not_taken(store: Store) -> None:
    assert store.put(pod("a", 5))
    assert not store.put(pod("a", 5))
    assert not store.put(pod("a", 4))
    assert store.put(pod("a", 6))
    found = store.get(key(POD, "a"))
    assert found is not None
    assert found["metadata"]["resourceVersion"] == "6"


def test_a_deleted_object_is_not_brought_back_by_an_older_state(store: Store) -> None:
    store.put(pod("a", 5))
    assert store.drop(pod("a", 7))
    assert not store.put(pod("a", 6))
    assert store.put(pod("a", 8, uid="v"))


def test_a_late_deletion_does_not_take_the_next_object_of_the_name(store: Store) -> None:
    store.put(pod("a", 9, uid="v"))
    assert not store.drop(pod("a", 7, uid="u"))
    assert names(store) == ["a"]


def test_a_list_tells_what_is_gone_but_not_of_what_came_after_it(store: Store) -> None:
    store.put(pod("gone", 5))
    store.put(pod("newer", 20))
    store.put(pod("same", 6))
    changed = store.replace(POD, [pod("same", 6), pod("new", 9)], version=10)
    assert names(store) == ["new", "newer", "same"]
    assert sorted(obj["metadata"]["name"] for obj in changed) == ["gone", "new"]


def test_a_list_does_not_bring_back_what_was_deleted_after_it(store: Store) -> None:
    store.put(pod("a", 5))
    store.drop(pod("a", 12))
    assert store.replace(POD, [pod("a", 5)], version=10) == []
    assert names(store) == []


def test_an_object_that_a_list_lacked_is_not_brought_back_by_what_is_older(store: Store) -> None:
    """Neither by an event that was under way, nor by a list that was: nobody would tell that it is gone."""
    store.put(pod("a", 5))
    store.replace(POD, [], version=10)
    assert not store.put(pod("a", 7))
    assert store.replace(POD, [pod("a", 7)], version=8) == []
    assert names(store) == []
    # One that was asked for by name is there: only its label is not.
    assert store.put(pod("a", 7), was_read=True)
    store.drop(pod("a", 7))
    assert names(store) == []
    assert store.put(pod("a", 11, uid="v"))
    assert store.replace(POD, [], version=9) == []
    assert names(store) == ["a"]


def test_objects_are_found_by_label(store: Store) -> None:
    store.put(pod("b", 1, **{LABEL: "docs"}))
    store.put(pod("a", 2, **{LABEL: "docs", "other": "x"}))
    store.put(pod("c", 3, **{LABEL: "faqs"}))
    assert list(store.labelled(LABEL, "docs")) == [key(POD, "a"), key(POD, "b")]
    store.put(pod("b", 4, **{LABEL: "faqs"}))
    assert list(store.labelled(LABEL, "docs")) == [key(POD, "a")]
    store.drop(pod("a", 5))
    assert store.labelled(LABEL, "docs") == {}
    assert store.labelled("other", "x") == {}


def test_kinds_are_apart(store: Store) -> None:
    store.put(pod("a", 1))
    assert list(store.of_kind(SERVICE)) == []
    assert store.replace(SERVICE, [], version=99) == []
    assert names(store) == ["a"]
