"""The catalog: a collection is declared whole or not at all, and once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hanax.core.catalog import CatalogEntry
from hanax.core.errors import CollectionExists, CollectionNotFound, DataLoss, InvalidArgument
from hanax.core.specs import CollectionSpec
from hanax.runtime.catalog_folder import CatalogFolder


def spec(name: str, dimension: int = 4) -> CollectionSpec:
    return CollectionSpec(name=name, dimension=dimension)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "catalog"


def test_a_declared_collection_is_listed_by_every_reader(folder: Path) -> None:
    catalog = CatalogFolder(folder)
    assert catalog.entries() == []
    docs = catalog.create(spec("docs"), now_us=17)
    code = catalog.create(spec("code"), now_us=18)
    assert (docs.spec, docs.created_at_us) == (spec("docs"), 17)
    assert docs.uid != code.uid
    assert catalog.entries() == [code, docs]
    assert CatalogFolder(folder).entries() == [code, docs]
    assert sorted(path.name for path in folder.iterdir()) == ["code.json", "docs.json"]


def test_a_second_collection_of_the_name_is_refused_and_changes_nothing(folder: Path) -> None:
    catalog = CatalogFolder(folder)
    first = catalog.create(spec("docs"), now_us=1)
    with pytest.raises(CollectionExists, match="'docs' exists already") as caught:
        catalog.create(spec("docs", dimension=8), now_us=2)
    assert caught.value.details == {"collection": "docs"}
    assert catalog.entries() == [first]
    assert [path.name for path in folder.iterdir()] == ["docs.json"]


def test_of_many_creators_at_once_one_wins(folder: Path) -> None:
    catalog = CatalogFolder(folder)
    start = threading.Barrier(8)
    made: list[CatalogEntry] = []
    refused: list[CollectionExists] = []

    def create(dimension: int) -> None:
        start.wait()
        try:
            made.append(catalog.create(spec("docs", dimension), now_us=dimension))
        except CollectionExists as error:
            refused.append(error)

    threads = [threading.Thread(target=create, args=(number + 1,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 7)
    assert catalog.entries() == made


def test_a_deleted_collection_is_gone_and_its_name_free(folder: Path) -> None:
    catalog = CatalogFolder(folder)
    first = catalog.create(spec("docs"), now_us=1)
    catalog.delete("docs", with_aliases=False)
    assert catalog.entries() == []
    with pytest.raises(CollectionNotFound, match="no collection 'docs'") as caught:
        catalog.delete("docs", with_aliases=False)
    assert caught.value.details == {"collection": "docs"}
    assert catalog.create(spec("docs"), now_us=2).uid != first.uid


def test_an_unfinished_draft_is_no_collection(folder: Path) -> None:
    catalog = CatalogFolder(folder)
    (folder / ".0123").write_bytes(b"{")
    assert catalog.entries() == []


@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b'{"uid": "u", "created_at_us": 1}'])
def test_a_damaged_file_is_named(folder: Path, damage: bytes) -> None:
    catalog = CatalogFolder(folder)
    catalog.create(spec("code"), now_us=1)
    (folder / "docs.json").write_bytes(damage)
    with pytest.raises(DataLoss, match=r"docs\.json is not a collection") as caught:
        catalog.entries()
    assert caught.value.details == {"path": str(folder / "docs.json")}


def with_recall(share: float) -> Callable[[CollectionSpec], CollectionSpec]:
    return lambda known: known.model_copy(update={"target_recall": share})


def test_a_change_keeps_the_uid_and_counts_the_generation(folder: Path) -> None:
    catalog = CatalogFolder(folder)
    made = catalog.create(spec("docs"), now_us=17)
    changed = catalog.update("docs", with_recall(0.9))
    assert (changed.uid, changed.created_at_us) == (made.uid, 17)
    assert (made.generation, changed.generation) == (1, 2)
    assert CatalogFolder(folder).entries() == [changed]
    assert catalog.update("docs", with_recall(0.9)) == changed, "nothing changed"
    assert [path.name for path in folder.iterdir()] == ["docs.json"]


def test_a_change_that_is_refused_changes_nothing(folder: Path) -> None:
    catalog = CatalogFolder(folder)
    made = catalog.create(spec("docs"), now_us=17)

    def refuse(known: CollectionSpec) -> CollectionSpec:
        raise InvalidArgument("no")

    with pytest.raises(InvalidArgument):
        catalog.update("docs", refuse)
    with pytest.raises(CollectionNotFound):
        catalog.update("code", with_recall(0.9))
    assert catalog.entries() == [made]


def test_a_change_does_not_bring_back_what_is_deleted(folder: Path) -> None:
    """A deletion in the middle of a change waits for its end, and then removes the collection."""
    catalog = CatalogFolder(folder)
    catalog.create(spec("docs"), now_us=17)
    deleting = threading.Thread(target=CatalogFolder(folder).delete, args=("docs", False))

    def slowly(known: CollectionSpec) -> CollectionSpec:
        deleting.start()
        deleting.join(0.1)
        assert deleting.is_alive()
        return with_recall(0.9)(known)

    catalog.update("docs", slowly)
    deleting.join()
    assert catalog.entries() == []


def test_changes_at_once_are_all_counted(folder: Path) -> None:
    CatalogFolder(folder).create(spec("docs"), now_us=17)
    shares = [0.5 + number / 100 for number in range(16)]
    threads = [
        threading.Thread(target=CatalogFolder(folder).update, args=("docs", with_recall(share)))
        for share in shares
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (entry,) = CatalogFolder(folder).entries()
    assert entry.generation == 1 + len(shares)


def test_files_from_before_there_were_indexes_are_read(folder: Path) -> None:
    """They name the one index there was; that stays what the collection has."""
    catalog = CatalogFolder(folder)
    old = """{"uid": "u1", "created_at_us": 5, "spec": {"name": "docs", "dimension": 4, "metric": "cosine",
              "shards": 2, "embedding_model": null, "index": {"type": "flat"}}}"""
    (folder / "docs.json").write_text(old)
    (entry,) = catalog.entries()
    assert (entry.spec.index.type, entry.spec.quantisation, entry.generation) == ("flat", None, 1)
    assert catalog.update("docs", with_recall(0.9)).generation == 2
