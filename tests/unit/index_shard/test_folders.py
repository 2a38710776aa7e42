"""The data directory: one owner, durable places, and a trash that empties itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hanax.core.errors import FailedPrecondition
from hanax.index_shard.folders import DataFolder
from tests.integration.waiting import wait_until


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "shard-0"


@pytest.fixture
def folder(root: Path) -> Iterator[DataFolder]:
    folder = DataFolder(root)
    yield folder
    folder.close()


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def test_a_shard_has_a_place_of_its_own(folder: DataFolder, root: Path) -> None:
    place = folder.shard("docs", "u1", 3)
    assert place == root / "collections" / "docs-u1" / "shard-3"
    assert place.is_dir()
    (place / "kept").write_bytes(b"x")
    assert folder.shard("docs", "u1", 3) == place
    assert (place / "kept").read_bytes() == b"x"


def test_one_owner_at_a_time(folder: DataFolder, root: Path) -> None:
    with pytest.raises(FailedPrecondition, match="another index-shard process uses"):
        DataFolder(root)


def test_the_next_owner_takes_over(root: Path) -> None:
    for _ in range(2):
        DataFolder(root).close()


def test_discarded_data_are_out_of_sight_at_once_and_gone_soon(folder: DataFolder, root: Path) -> None:
    for number in range(3):
        for depth in ("log", "segments/0001"):
            (folder.shard("docs", "u1", number) / depth).mkdir(parents=True)
            (folder.shard("docs", "u1", number) / depth / "data").write_bytes(b"x" * 1_000)
    other = folder.shard("docs", "u2", 0)
    assert folder.discard("docs", "u1")
    assert not (root / "collections" / "docs-u1").exists()
    assert not folder.discard("docs", "u1")
    wait_until("the trash is empty", lambda: is_empty(root / "trash"))
    assert other.is_dir()


def test_what_an_earlier_owner_left_in_the_trash_is_removed(root: Path) -> None:
    left = root / "trash" / "abc" / "shard-0"
    left.mkdir(parents=True)
    (left / "data").write_bytes(b"x")
    folder = DataFolder(root)
    try:
        wait_until("the trash is empty", lambda: is_empty(root / "trash"))
    finally:
        folder.close()
    assert (root / "trash").is_dir()


def test_a_directory_that_can_not_be_made_is_an_error_and_not_held(tmp_path: Path) -> None:
    blocked = tmp_path / "data"
    blocked.mkdir()
    (blocked / "collections").write_bytes(b"a file in the way")
    with pytest.raises(FileExistsError):
        DataFolder(blocked)
    (blocked / "collections").unlink()
    DataFolder(blocked).close()
