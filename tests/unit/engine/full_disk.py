"""What a shard does on a full disk: scenes for a small file system, and for a limit on the size of files.

`python -m tests.unit.engine.full_disk FOLDER` plays them all under the limit: it holds for a whole process.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import pytest

from hanax.core.distances import Metric
from hanax.core.errors import StorageFull
from hanax.core.ids import PointId, encode_id
from hanax.engine.shard import Schema, ShardOptions, background
from hanax.engine.storage.manifest import Manifest
from tests.unit.engine.log_format import FILE_HEADER_BYTES
from tests.unit.engine.rigs import Rig, wait_until

# Of one point: four of them fill a page.
DIMENSION: Final = 256
SCHEMA: Final = Schema.single(DIMENSION, Metric.EUCLIDEAN)
PAGE: Final = 4096


class Space(Protocol):
    def squeeze(self, left: int) -> None:
        """Leave room for so many bytes more."""

    def release(self) -> None:
        """Give back all room."""


class SmallDisk:
    """A file system of its own, filled up by a file."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def squeeze(self, left: int) -> None:
        self.release()
        status = os.statvfs(self._filler.parent)
        size = status.f_bavail * status.f_frsize - left
        with self._filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)

    def release(self) -> None:
        self._filler.unlink(missing_ok=True)


class SizeLimit:
    """RLIMIT_FSIZE: a write past it fails with EFBIG, and the one that reaches it is cut short."""

    def squeeze(self, left: int) -> None:
        self._limit(left)

    def release(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))


@contextmanager
def rig_of(folder: Path, options: ShardOptions | None = None) -> Iterator[Rig]:
    with Rig(folder, SCHEMA, options or ShardOptions()) as rig:
        yield rig


def put(rig: Rig, first: int, count: int) -> set[PointId]:
    ids = list(range(first, first + count))
    rig.upsert(ids, np.repeat(np.arange(first, first + count)[:, None], DIMENSION, axis=1))
    return set(ids)


def fill(rig: Rig, first: int, count: int) -> set[PointId]:
    """Write batches until one is refused. Returns what was acknowledged."""
    done: set[PointId] = set()
    for _ in range(1_000):
        before = log_of(rig)
        try:
            done |= put(rig, first, count)
        except StorageFull:
            break
        first += count
    assert len(done) < 1_000 * count, "the disk did not become full"
    assert log_of(rig) == before, "a part of the refused batch stayed"
    return done


def log_of(rig: Rig) -> dict[str, int]:
    """Sizes of the log's files. One that was just begun, with nothing but its header, counts for nothing."""
    sizes = {path.name: path.stat().st_size for path in (rig.folder / "log").iterdir()}
    return {name: size for name, size in sizes.items() if size != FILE_HEADER_BYTES}


def check(rig: Rig, ids: set[PointId]) -> None:
    """All reads, and nothing but what was acknowledged."""
    found = rig.ids()
    assert len(found) == len(ids)
    assert set(found) == ids
    assert rig.shard.stats().points == rig.shard.count() == len(ids)
    nearest = rig.search([0.0] * DIMENSION, 5)
    assert [id_ for id_, _ in nearest] == sorted(map(int, ids))[:5]


def writes(folder: Path, space: Space) -> None:
    """Refused, named, undone; reads go on; taken again when there is room, without reopening."""
    with rig_of(folder / "s") as rig:
        ids = put(rig, 0, 10)
        space.squeeze(10 * PAGE + 1_000)
        ids |= fill(rig, 100, 3)
        ids |= fill(rig, 1_000, 1)
        assert "no space left" in rig.shard.stats().read_only_reason
        check(rig, ids)
        for _ in range(3):
            with pytest.raises(StorageFull):
                put(rig, 5_000, 40)
        check(rig, ids)
        space.release()
        ids |= put(rig, 6_000, 40)
        assert rig.shard.stats().read_only_reason == ""
        check(rig, ids)
        rig.reopen()
        check(rig, ids)


def reopening(folder: Path, space: Space) -> None:
    """A full disk still opens and reads. No file is left of a log that could not be begun."""
    with rig_of(folder / "s") as rig:
        ids = put(rig, 0, 20)
        rig.shard.seal()
        ids |= put(rig, 20, 20)
        rig.delete([3])
        ids -= {3}
        for left in (0, 16, 100):
            space.squeeze(left)
            rig.reopen()
            check(rig, ids)
            before = log_of(rig)
            for _ in range(3):
                with pytest.raises(StorageFull, match="no space left for the log"):
                    put(rig, 100, 20)
                assert log_of(rig) == before
            assert rig.shard.stats().read_only_reason
            check(rig, ids)
            space.release()
            ids |= put(rig, 1_000 + left, 1)
            check(rig, ids)
        rig.reopen()
        check(rig, ids)


def torn_tails(folder: Path, space: Space) -> None:
    """Opening cuts what a kill tore, with no room at all."""
    with rig_of(folder / "s") as rig:
        ids = put(rig, 0, 20)
        (path,) = (rig.folder / "log").iterdir()
        rig.close()
        with path.open("ab") as file:
            file.write(path.read_bytes()[32:1_000])
        # A whole header that says more than follows is a torn write of the next record, but for its sequence:
        # so only a part of the header.
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 968 + 20)
        space.squeeze(0)
        rig.open()
        check(rig, ids)
        space.release()


def compaction(folder: Path, space: Space) -> None:
    """With room for two pages more each time: it ends as if it had not begun, until there is enough."""
    with rig_of(folder / "s") as rig:
        ids = put(rig, 0, 60)
        rig.shard.seal()
        # What runs in the background would be in the way of looking at the folder.
        rig.background.close()
        refused = done = 0
        for left in range(0, 120 * PAGE, 2 * PAGE):
            space.release()
            ids |= put(rig, 100 + left, 2)
            rig.delete([min(map(int, ids))])
            ids -= {min(map(int, ids))}
            space.squeeze(left)
            try:
                rig.shard.compact()
                done += 1
            except StorageFull:
                refused += 1
            check(rig, ids)
            named = {entry.name for entry in Manifest.load(rig.folder).segments}
            assert {path.name for path in (rig.folder / "segments").iterdir()} == named
            rig.reopen()
            rig.background.close()
            check(rig, ids)
            if done > 3:
                break
        assert refused > 3
        assert done > 3
        space.release()
        rig.shard.compact()
        check(rig, ids)
        assert rig.shard.stats().segments == 1


def sealing(folder: Path, space: Space) -> None:
    """What could not be sealed is sealed when there is room, by itself; meanwhile writers learn why.

    New metadata copy a point's vector: a few bytes in the log, a row in a segment.
    """
    with rig_of(folder / "s", ShardOptions(segment_max_rows=16)) as rig:
        ids = put(rig, 0, 16)
        wait_until("it is sealed", lambda: rig.shard.stats().segments == 1)
        space.squeeze(3 * PAGE)
        versions: dict[PointId, int] = {}
        for version in range(1_000):
            try:
                rig.shard.update_metadata([encode_id(version % 16)], [b'{"v":%d}' % version], replace=False)
            except StorageFull:
                break
            versions[version % 16] = version
        assert 16 <= version < 999
        assert "no space left" in rig.shard.stats().read_only_reason
        check(rig, ids)
        with pytest.raises(StorageFull):
            put(rig, 5_000, 200)
        check(rig, ids)
        space.release()
        wait_until("sealing went on", lambda: rig.shard.stats().growing_rows < 16)
        ids |= put(rig, 6_000, 50)
        assert rig.shard.stats().read_only_reason == ""
        check(rig, ids)
        rig.reopen()
        check(rig, ids)
        assert {id_: item["v"] for id_, item in rig.get(range(16)).items()} == versions


def snapshots(folder: Path, space: Space) -> None:
    """Whole or absent. Hard links need no room, the manifest does."""
    with rig_of(folder / "s") as rig:
        ids = put(rig, 0, 20)
        rig.shard.seal()
        ids |= put(rig, 20, 20)
        space.squeeze(0)
        with pytest.raises(StorageFull, match="no space left for a"):
            rig.shard.snapshot(folder / "copy")
        assert [path.name for path in folder.iterdir() if path.name.startswith("copy")] == []
        check(rig, ids)
        space.release()
        rig.shard.snapshot(folder / "copy")
        put(rig, 100, 1)
    with rig_of(folder / "copy") as copy:
        check(copy, ids)


def beginnings(folder: Path, space: Space) -> None:
    """A shard that can't be made is none, and can be made later."""
    space.squeeze(0)
    with pytest.raises(StorageFull, match="no space left for a new shard"):
        Rig(folder / "s", SCHEMA)
    space.release()
    with rig_of(folder / "s") as rig:
        check(rig, put(rig, 0, 5))


SCENES: Final[list[Callable[[Path, Space], None]]] = [
    writes,
    reopening,
    torn_tails,
    compaction,
    sealing,
    snapshots,
    beginnings,
]


@contextmanager
def quick_retries() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(background, "_RETRY_FIRST_S", 0.05)
        patch.setattr(background, "_RETRY_LAST_S", 0.2)
        yield


def main() -> None:
    space = SizeLimit()
    for scene in SCENES:
        folder = Path(sys.argv[1], scene.__name__)
        folder.mkdir()
        with quick_retries():
            scene(folder, space)
        # A limit would cut this short as well.
        space.release()
        print(f"played: {scene.__name__}", flush=True)


if __name__ == "__main__":
    main()
