"""Damage anywhere in a shard's folder is named at opening, before anything is served or changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hanax.core.errors import DataLoss
from tests.unit.engine.rigs import Rig

LIVE = {1, 3, 4, 5, 6, *range(11, 16)}


@pytest.fixture
def shard(folder: Path) -> Path:
    """Two segments, one with a few tombstones, and a log behind them."""
    with Rig(folder / "s") as rig:
        rig.upsert([1, 2, 3, 11, 12, 13, 14, 15])
        rig.shard.seal()
        rig.upsert([4, 5])
        rig.delete([2])
        rig.shard.seal()
        rig.upsert([6])
    return folder / "s"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_that_matters_is_checked(shard: Path) -> None:
    files = sorted(path for path in shard.rglob("*") if path.is_file() and path.name != "LOCK")
    assert len(files) == 1 + 1 + 1 + 2 * 12
    for path in files:
        good = path.read_bytes()
        for place in {0, len(good) // 2, len(good) - 2}:
            bad = bytearray(good)
            bad[place] ^= 0x80
            path.write_bytes(bytes(bad))
            before = contents(shard)
            with pytest.raises(DataLoss) as caught:
                Rig(shard)
            assert path.name in caught.value.message
            assert contents(shard) == before
        path.write_bytes(good)
    with Rig(shard) as rig:
        assert set(rig.ids()) == LIVE


def test_a_missing_file_is_named(shard: Path) -> None:
    for path in sorted(path for path in shard.rglob("*") if path.is_file()):
        # The one log file may have been released, as far as anyone can tell; the lock is made anew.
        if path.name != "LOCK" and path.suffix != ".log":
            good = path.read_bytes()
            path.unlink()
            with pytest.raises(DataLoss, match=path.name):
                Rig(shard)
            path.write_bytes(good)
    Rig(shard).close()


@pytest.mark.parametrize(
    "remove",
    [
        lambda shard: shutil.rmtree(shard / "segments" / "00000001"),
        lambda shard: shutil.rmtree(shard / "segments"),
        lambda shard: shutil.rmtree(shard / "tombstones"),
        lambda shard: (shard / "MANIFEST.json").unlink(),
    ],
)
def test_missing_folders_are_data_loss(shard: Path, remove: Callable[[Path], object]) -> None:
    remove(shard)
    with pytest.raises(DataLoss):
        Rig(shard)


def test_a_manifest_of_another_time_is_data_loss(shard: Path) -> None:
    """Files were taken from two backups."""
    old = (shard / "MANIFEST.json").read_bytes()
    with Rig(shard) as rig:
        rig.upsert([7])
        rig.shard.compact()
    (shard / "MANIFEST.json").write_bytes(old)
    with pytest.raises(DataLoss):
        Rig(shard)


def test_leftovers_of_work_cut_short_are_removed(shard: Path) -> None:
    before = contents(shard)
    shutil.copytree(shard / "segments" / "00000001", shard / "segments" / "00000003.draft")
    shutil.copytree(shard / "segments" / "00000001", shard / "segments" / "00000004")
    (shard / "segments" / "00000003.draft" / "segment.json").unlink()
    (shard / "tombstones" / "00000002-99").write_bytes(b"half")
    (shard / "MANIFEST.json.new").write_bytes(b'{"checksum":"')
    (shard / "log" / "00000000000000000005.log").write_bytes(b"HANAX")
    with Rig(shard) as rig:
        assert set(rig.ids()) == LIVE
        assert sorted(path.name for path in (shard / "segments").iterdir()) == ["00000001", "00000002"]
        rig.upsert([8])
        rig.shard.seal()
        assert set(rig.ids()) == LIVE | {8}
    assert set(contents(shard)) != set(before)
    with Rig(shard) as rig:
        assert set(rig.ids()) == LIVE | {8}
        rig.shard.compact()
        assert not (shard / "MANIFEST.json.new").exists()
