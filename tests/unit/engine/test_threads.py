"""Writers, readers and maintenance at once: every read is of one moment, with each point once."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from hanax.core.errors import Overloaded
from hanax.core.filter_parsing import parse_filter
from hanax.core.ids import decode_id, encode_id
from hanax.engine.shard import Points, ShardOptions
from tests.unit.engine.rigs import DEADLINE_S, EVERYTHING, Rig

# Of each loop, before the end: a slow machine takes longer, and does as much.
ROUNDS = 8
GENERATIONS = 10
WRITERS = 3
# Of each writer: written together, so that a moment has all of one generation.
POINTS = 20


def id_of(writer: int, number: int) -> int:
    return 1_000 * writer + number


class Stress:
    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.until = time.monotonic() + DEADLINE_S
        # The last generation that was acknowledged, and the last that was begun, of each writer.
        self.done = [0] * WRITERS
        self.begun = [0] * WRITERS
        self.trouble: list[BaseException] = []
        self.counts: Counter[str] = Counter()

    def run(self) -> None:
        loops: list[Callable[[random.Random], None]] = [self.read_all, self.search, self.search_filtered]
        threads = [
            threading.Thread(target=self._repeat, args=(loop, seed)) for seed, loop in enumerate(loops)
        ] + [threading.Thread(target=self._repeat, args=(self.write(w), 10 + w)) for w in range(WRITERS)]
        threads.append(threading.Thread(target=self._repeat, args=(self.churn, 20)))
        threads.append(threading.Thread(target=self._repeat, args=(self.maintain, 30)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * DEADLINE_S)
            assert not thread.is_alive(), "a thread hangs"
        if self.trouble:
            raise self.trouble[0]

    def _repeat(self, step: Callable[[random.Random], None], seed: int) -> None:
        source = random.Random(seed)
        try:
            while not (self.trouble or self.enough()):
                assert time.monotonic() < self.until, f"the others got nowhere: {self.counts}, {self.done}"
                step(source)
                self.counts[getattr(step, "__name__", "?")] += 1
        except BaseException as error:
            self.trouble.append(error)

    def enough(self) -> bool:
        """All go on until each has done its part, so that they stay beside each other."""
        loops = ("read_all", "search", "search_filtered", "churn", "maintain")
        return min(self.done) >= GENERATIONS and min(self.counts[name] for name in loops) >= ROUNDS

    def write(self, writer: int) -> Callable[[random.Random], None]:
        ids = [id_of(writer, number) for number in range(POINTS)]

        def write(source: random.Random) -> None:
            generation = self.begun[writer] = self.done[writer] + 1
            if generation % 4 == 0:
                patch = [b'{"g":%d}' % generation] * POINTS
                self.rig.shard.update_metadata([encode_id(id_) for id_ in ids], patch, replace=False)
            else:
                self.rig.upsert(ids, [[id_, 0] for id_ in ids], [{"g": generation, "w": writer}] * POINTS)
            self.done[writer] = generation

        return write

    def churn(self, source: random.Random) -> None:
        """Points that come and go, for dead rows."""
        ids = [100_000 + source.randrange(50) for _ in range(3)]
        if source.random() < 0.5:
            self.rig.upsert(list(set(ids)), metadata=[{"churn": True}] * len(set(ids)))
        elif source.random() < 0.8:
            self.rig.delete(list(set(ids)))
        else:
            self.rig.shard.delete_matching(
                parse_filter([{"field": "churn", "operator": "eq", "value": True}])
            )

    def maintain(self, source: random.Random) -> None:
        time.sleep(0.02)
        (self.rig.shard.seal if source.random() < 0.7 else self.rig.shard.compact)()

    def check(self, points: Points, least: list[int]) -> None:
        """One generation of each writer, between what was acknowledged before and begun by now."""
        most = list(self.begun)
        assert len(set(points.ids)) == len(points), "a point came twice"
        assert points.metadata is not None
        found = {
            decode_id(id_): json.loads(blob) for id_, blob in zip(points.ids, points.metadata, strict=True)
        }
        for writer in range(WRITERS):
            own = [found.get(id_of(writer, number)) for number in range(POINTS)]
            if least[writer] == 0 and all(item is None for item in own):
                continue
            assert None not in own, f"points of writer {writer} are missing"
            (generation,) = {item["g"] for item in own if item}
            assert least[writer] <= generation <= most[writer]
            assert {item["w"] for item in own if item} == {writer}

    def read_all(self, source: random.Random) -> None:
        least = list(self.done)
        points, more = self.rig.shard.scroll(None, 1_000, projection=EVERYTHING)
        assert not more
        self.check(points, least)
        assert points.vectors is not None
        for id_, vector in zip(points.ids, points.vectors[:, 0].tolist(), strict=True):
            number = decode_id(id_)
            assert not isinstance(number, int) or number >= 100_000 or number == vector
        least = list(self.done)
        ids = [id_of(writer, number) for writer in range(WRITERS) for number in range(POINTS)]
        self.check(self.rig.shard.get([encode_id(id_) for id_ in ids]), least)

    def search(self, source: random.Random) -> None:
        least = list(self.done)
        (hits,) = self.rig.shard.search(np.array([[source.random() * 3_000, 0.0]]), 1_000)
        self.check(hits.points, least)
        assert (np.diff(hits.distances) >= 0).all()

    def search_filtered(self, source: random.Random) -> None:
        writer = source.randrange(WRITERS)
        least = self.done[writer]
        own = parse_filter([{"field": "w", "operator": "eq", "value": writer}])
        (hits,) = self.rig.shard.search(np.array([[1_000.0 * writer, 0.0]]), 7, expression=own)
        if least:
            assert [decode_id(id_) for id_ in hits.points.ids] == [id_of(writer, n) for n in range(7)]
            np.testing.assert_array_equal(hits.distances, np.arange(7))
            assert self.rig.shard.count(own) == POINTS


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """As in the service: `index_shard/process.py` says what happens without."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
def test_writers_readers_and_maintenance(folder: Path) -> None:
    with Rig(folder, options=ShardOptions(segment_max_rows=64)) as rig:
        stress = Stress(rig)
        stress.run()
        stats = rig.shard.stats()
        for again in range(2):
            points, _ = rig.shard.scroll(None, 1_000)
            stress.check(points, stress.done)
            assert rig.shard.count() == len(points)
            if not again:
                rig.reopen()
    assert stats.last_sequence >= WRITERS * GENERATIONS


def test_seal_does_not_wait_for_what_is_written_later(folder: Path) -> None:
    """Writers that go on capture more and more: sealing ends with what was there when it was asked for."""
    with Rig(folder, options=ShardOptions(segment_max_rows=1)) as rig:
        enough = threading.Event()

        def write() -> None:
            number = 0
            while not enough.is_set():
                number += 1
                with suppress(Overloaded):
                    rig.upsert([number])

        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
        try:
            for _ in range(ROUNDS):
                sealer = threading.Thread(target=rig.shard.seal)
                sealer.start()
                sealer.join(DEADLINE_S)
                assert not sealer.is_alive(), "seal goes on for ever"
        finally:
            enough.set()
            for writer in writers:
                writer.join()


def test_metadata_of_one_point_set_by_many(folder: Path) -> None:
    """Each of them sets a key of its own; none is lost to another that read before it."""
    rounds = 25

    def count_up(thread: int) -> None:
        for number in range(1, rounds + 1):
            while True:
                try:
                    rig.shard.update_metadata(
                        [encode_id("x")], [b'{"t%d":%d}' % (thread, number)], replace=False
                    )
                    break
                except Overloaded:
                    continue

    with Rig(folder, options=ShardOptions(segment_max_rows=16)) as rig:
        rig.upsert(["x"])
        threads = [threading.Thread(target=count_up, args=(thread,)) for thread in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
        assert rig.get(["x"])["x"] == {f"t{thread}": rounds for thread in range(6)}
        rig.reopen()
        assert rig.get(["x"])["x"] == {f"t{thread}": rounds for thread in range(6)}
