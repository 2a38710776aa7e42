"""Aliases in the catalog: several change together, and a name is a collection or an alias, never both."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hanax.core.errors import (
    AliasExists,
    AliasNotFound,
    CollectionExists,
    CollectionHasAliases,
    CollectionNotFound,
    DataLoss,
    FailedPrecondition,
    HanaxError,
)
from hanax.core.limits import MAX_ALIASES
from hanax.core.specs import CollectionSpec
from hanax.runtime.catalog_folder import ALIASES, CatalogFolder


def spec(name: str) -> CollectionSpec:
    return CollectionSpec(name=name, dimension=4)


@pytest.fixture
def catalog(tmp_path: Path) -> CatalogFolder:
    made = CatalogFolder(tmp_path)
    for name in ("a", "b"):
        made.create(spec(name), now_us=1)
    return made


def test_aliases_are_made_moved_and_removed_at_once(catalog: CatalogFolder, tmp_path: Path) -> None:
    assert catalog.aliases().collection_by_alias == {}
    first = catalog.change_aliases({"live": "a", "spare": "b"})
    assert (first.generation, first.collection_by_alias) == (1, {"live": "a", "spare": "b"})
    second = catalog.change_aliases({"live": "b", "spare": None, "old": "a"})
    assert (second.generation, second.collection_by_alias) == (2, {"live": "b", "old": "a"})
    assert CatalogFolder(tmp_path).aliases() == second
    assert catalog.change_aliases({"live": "b"}) == second, "nothing changed"
    assert [entry.spec.name for entry in catalog.entries()] == ["a", "b"]


def test_an_alias_may_be_pointed_to_where_another_one_points(catalog: CatalogFolder) -> None:
    """Names are read as they were before the change, so that two may swap."""
    catalog.change_aliases({"live": "a", "next": "b"})
    swapped = catalog.change_aliases({"live": "next", "next": "live"})
    assert swapped.collection_by_alias == {"live": "b", "next": "a"}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"live": "b", "b": "a"}, CollectionExists),
        ({"live": "b", "other": "missing"}, CollectionNotFound),
        ({"live": "b", "other": None}, AliasNotFound),
        ({f"alias-{number}": "a" for number in range(MAX_ALIASES)}, FailedPrecondition),
    ],
)
def test_a_refused_change_changes_nothing(
    catalog: CatalogFolder, changes: dict[str, str | None], error: type[HanaxError]
) -> None:
    before = catalog.change_aliases({"live": "a"})
    with pytest.raises(error):
        catalog.change_aliases(changes)
    assert catalog.aliases() == before


def test_a_collection_can_not_take_an_aliases_name(catalog: CatalogFolder) -> None:
    catalog.change_aliases({"live": "a"})
    with pytest.raises(AliasExists, match="'live' is an alias, of collection 'a'"):
        catalog.create(spec("live"), now_us=2)
    catalog.change_aliases({"live": None})
    catalog.create(spec("live"), now_us=2)


def test_a_collection_with_aliases_is_deleted_with_them_or_not_at_all(catalog: CatalogFolder) -> None:
    catalog.change_aliases({"live": "a", "other": "a", "third": "b"})
    with pytest.raises(CollectionHasAliases, match="live, other") as caught:
        catalog.delete("a", with_aliases=False)
    assert caught.value.details == {"collection": "a", "aliases": ["live", "other"]}
    assert len(catalog.entries()) == 2
    catalog.delete("a", with_aliases=True)
    assert [entry.spec.name for entry in catalog.entries()] == ["b"]
    assert catalog.aliases().collection_by_alias == {"third": "b"}
    with pytest.raises(CollectionNotFound):
        catalog.delete("a", with_aliases=True)


def test_switches_at_once_are_all_counted(catalog: CatalogFolder, tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=CatalogFolder(tmp_path).change_aliases, args=({f"alias-{number}": "a"},))
        for number in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    aliases = catalog.aliases()
    assert (aliases.generation, len(aliases.collection_by_alias)) == (16, 16)


def test_of_a_collection_and_an_alias_made_at_once_one_wins(catalog: CatalogFolder, tmp_path: Path) -> None:
    for number in range(20):
        name, start, refused = f"name-{number}", threading.Barrier(2), list[HanaxError]()

        def create(name: str, start: threading.Barrier, refused: list[HanaxError]) -> None:
            start.wait()
            try:
                CatalogFolder(tmp_path).create(spec(name), now_us=2)
            except AliasExists as error:
                refused.append(error)

        creating = threading.Thread(target=create, args=(name, start, refused))
        creating.start()
        start.wait()
        try:
            catalog.change_aliases({name: "a"})
        except CollectionExists as error:
            refused.append(error)
        creating.join()
        assert len(refused) == 1


def test_what_is_declared_is_read_together(catalog: CatalogFolder) -> None:
    made = catalog.change_aliases({"live": "a"})
    declared = catalog.declared()
    assert ([entry.spec.name for entry in declared.entries], declared.aliases) == (["a", "b"], made)
    assert declared.damaged == {}


def test_a_damaged_file_of_aliases_is_named_and_hides_no_collection(
    catalog: CatalogFolder, tmp_path: Path
) -> None:
    (tmp_path / ALIASES).write_bytes(b"{")
    with pytest.raises(DataLoss, match="ALIASES does not hold aliases"):
        catalog.aliases()
    declared = catalog.declared()
    assert (len(declared.entries), declared.aliases, list(declared.damaged)) == (2, None, [ALIASES])
    with pytest.raises(DataLoss):
        catalog.delete("a", with_aliases=True)
    assert len(catalog.entries()) == 2
