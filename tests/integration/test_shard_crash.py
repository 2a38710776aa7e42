"""kill -9 of a shard's process at random moments of a write load, maintenance included.

Nothing that was acknowledged is lost, nothing is there twice, deletes stay, and a write that was not
acknowledged is there wholly or not at all. HANAX_CRASH_ROUNDS=1000 plays more rounds, HANAX_CRASH_SEED
others.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import Overloaded, Unavailable
from hanax.core.ids import decode_id, encode_id
from hanax.engine.shard import Background, Projection, Shard
from tests.integration import index_shard_process
from tests.integration.crash_load import WRITERS, Content, Journal, Operation, State, check_states, operation
from tests.integration.index_shard_process import IndexShardProcess, Routes
from tests.integration.shard_lives import OPTIONS, SCHEMA, now_us
from tests.integration.waiting import wait_until

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("HANAX_CRASH_ROUNDS", "100"))
SEED = int(os.environ.get("HANAX_CRASH_SEED", "0"))
# A real index-shard takes more than a second to start.
SERVICE_ROUNDS = max(1, ROUNDS // 25)
DEADLINE_S = 60.0


def number_of(encoded: bytes) -> int:
    id_ = decode_id(encoded)
    assert isinstance(id_, int)
    return id_


def content_of(shard: Shard) -> Iterator[tuple[int, Content]]:
    points, more = shard.scroll(None, 1_000, None, Projection(metadata=True, vectors=True))
    assert not more
    assert points.metadata is not None
    assert points.vectors is not None
    assert len(points) == shard.count()
    for id_, blob, vector in zip(points.ids, points.metadata, points.vectors.tolist(), strict=True):
        yield number_of(id_), Content(json.loads(blob), vector)


class Lives:
    """The process that forks lives, and the pipe that they tell of themselves."""

    def __init__(self, folder: Path) -> None:
        self._events, writing = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.shard_lives", str(folder), str(writing)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            pass_fds=[writing],
        )
        os.close(writing)
        self._rest = b""

    def play(self, round_: int, states: dict[int, State], source: random.Random) -> Journal:
        """One life, killed at a random moment: while it opens in every tenth, else while it writes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        journal = Journal(round_)
        print(round_, file=self._process.stdin, flush=True)
        pid = int(self._process.stdout.readline())
        try:
            if round_ % 10:
                self._listen(journal, states, lambda: len(journal.sequences) > 0, DEADLINE_S)
            self._listen(journal, states, lambda: False, source.uniform(0, 0.06))
        finally:
            os.kill(pid, signal.SIGKILL)
        assert self._process.stdout.readline() == "ended\n"
        while self._hear(journal, states, 0):
            pass
        return journal

    def _listen(
        self, journal: Journal, states: dict[int, State], enough: Callable[[], bool], seconds: float
    ) -> None:
        until = time.monotonic() + seconds
        while not enough():
            left = until - time.monotonic()
            if left <= 0:
                assert seconds < DEADLINE_S, "the shard takes no writes"
                return
            self._hear(journal, states, left)

    def _hear(self, journal: Journal, states: dict[int, State], wait_s: float) -> bool:
        """Take in what the life said. False when it said nothing for so long."""
        if not select.select([self._events], [], [], wait_s)[0]:
            return False
        *lines, self._rest = (self._rest + os.read(self._events, 65_536)).split(b"\n")
        for line in lines:
            what, *numbers = line.decode().split(" ", 1 if line.startswith(b"trouble") else -1)
            if what == "begin":
                journal.begin(int(numbers[0]), int(numbers[1]))
            elif what == "done":
                journal.acknowledge(int(numbers[0]), int(numbers[1]), states)
            elif what == "refused":
                journal.refuse(int(numbers[0]))
            else:
                assert what == "opening", json.loads(numbers[0])
        return True

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(DEADLINE_S) == 0
        os.close(self._events)


@contextmanager
def opened(folder: Path) -> Iterator[Shard]:
    background = Background(1)
    shard = Shard.open(folder, SCHEMA, OPTIONS, background, now_us)
    try:
        yield shard
    finally:
        shard.close()
        background.close()


def check_sequences(journal: Journal, before: int, after: int) -> None:
    """Each acknowledged write has a place of its own in the log, but for those that changed nothing."""
    assert all(before <= sequence <= after for sequence in journal.sequences)
    assert after <= before + sum(journal.begun.values())


@pytest.mark.timeout(120 + ROUNDS)
def test_killed_shards_keep_their_word(tmp_path: Path) -> None:
    source = random.Random(SEED)
    states: dict[int, State] = {writer: {} for writer in range(WRITERS)}
    lives = Lives(tmp_path)
    last = acknowledged = made = doubtful = copies = segments = 0
    try:
        for round_ in range(1, ROUNDS + 1):
            journal = lives.play(round_, states, source)
            acknowledged += len(journal.sequences)
            doubtful += len(journal.in_doubt)
            with opened(tmp_path / "shard") as shard:
                made += check_states(content_of(shard), journal, states)
                stats = shard.stats()
            check_sequences(journal, last, stats.last_sequence)
            last = stats.last_sequence
            segments += stats.segments
            copy = tmp_path / f"copy-{round_}"
            if copy.exists():
                # It is of some moment of that life.
                with opened(copy) as shard:
                    assert len(dict(content_of(shard))) == shard.count()
                copies += 1
                shutil.rmtree(copy)
    finally:
        lives.close()
    assert acknowledged > 5 * ROUNDS
    assert doubtful > ROUNDS
    if ROUNDS >= 50:
        assert 0 < made < doubtful, "kills hit writes before and after they were made"
        assert copies > 0
        assert segments > 0


_MODES = {
    "upsert": pb.WRITE_MODE_UPSERT,
    "insert": pb.WRITE_MODE_INSERT,
    "replace": pb.WRITE_MODE_UPDATE,
}


class ServiceWriter:
    """Writes over gRPC until the process is gone."""

    def __init__(self, shard: index_shard_process.Shard, journal: Journal, states: dict[int, State]) -> None:
        self._shard = shard
        self._journal = journal
        self._states = states
        self.trouble: list[BaseException] = []

    def is_answered(self) -> bool:
        return len(self._journal.sequences) > 20

    def run(self, writer: int) -> None:
        try:
            number = 0
            while True:
                self._journal.begin(writer, number)
                try:
                    sequence = self._write(operation(self._journal.round_, writer, number))
                except Overloaded:
                    self._journal.refuse(writer)
                except Unavailable:
                    return
                else:
                    self._journal.acknowledge(writer, sequence, self._states)
                number += 1
        except BaseException as error:
            self.trouble.append(error)

    def _write(self, task: Operation) -> int:
        ids = [encode_id(id_) for id_ in task.ids]
        blobs = [json.dumps(content.metadata).encode() for content in task.contents]
        if task.kind in _MODES:
            rows = np.array([content.vector for content in task.contents], "<f4")
            vectors = [index_shard_process.column(rows)]
            upsert = pb.UpsertRequest(ids=ids, vectors=vectors, metadata=blobs, mode=_MODES[task.kind])
            return int(self._shard.call("Upsert", upsert).sequence)
        if task.kind == "update":
            update = pb.UpdateMetadataRequest(ids=ids, metadata=blobs, mode=pb.METADATA_MODE_MERGE)
            return int(self._shard.call("UpdateMetadata", update).sequence)
        if task.kind == "delete":
            return int(self._shard.call("Delete", pb.DeleteRequest(ids=ids)).sequence)
        raw = json.dumps(task.filter).encode()
        if task.kind == "change_matching":
            change = pb.ChangeMetadataRequest(
                filter_json=raw, metadata=json.dumps(task.change).encode(), mode=pb.METADATA_MODE_MERGE
            )
            return int(self._shard.call("ChangeMetadata", change).sequence)
        return int(self._shard.call("Delete", pb.DeleteRequest(filter_json=raw)).sequence)


def content_over_grpc(shard: index_shard_process.Shard) -> Iterator[tuple[int, Content]]:
    request = pb.ScrollRequest(limit=1_000, projection=pb.Projection(metadata=True, vectors=True))
    answer = shard.call("Scroll", request)
    assert not answer.has_more
    points = answer.points
    assert len(points.ids) == shard.count()
    for place, (id_, blob) in enumerate(zip(points.ids, points.metadata, strict=True)):
        size = 4 * points.vectors[0].dimension
        raw = points.vectors[0].float32_le[place * size : (place + 1) * size]
        yield number_of(id_), Content(json.loads(blob), np.frombuffer(raw, "<f4").tolist())


@pytest.mark.timeout(120 + 10 * SERVICE_ROUNDS)
def test_a_killed_index_shard_keeps_its_word(tmp_path: Path) -> None:
    source = random.Random(SEED)
    states: dict[int, State] = {writer: {} for writer in range(WRITERS)}
    routes = Routes(tmp_path / "routing.json")
    routes.put("crash")
    routes.write()
    last = acknowledged = 0
    with IndexShardProcess(tmp_path, routes.path, segment_max_rows=48, log_max_bytes=65_536) as process:
        for round_ in range(1, SERVICE_ROUNDS + 1):
            shard = process.shard("crash").wait_open()
            journal = Journal(round_)
            load = ServiceWriter(shard, journal, states)
            threads = [threading.Thread(target=load.run, args=(writer,)) for writer in range(WRITERS)]
            for thread in threads:
                thread.start()
            wait_until("writes are answered", load.is_answered)
            # At any moment of their work.
            time.sleep(source.uniform(0, 0.3))
            assert process.process is not None
            process.process.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join(DEADLINE_S)
                assert not thread.is_alive()
            assert load.trouble == []
            process.restart(signal.SIGKILL)
            shard = process.shard("crash").wait_open()
            check_states(content_over_grpc(shard), journal, states)
            description = shard.describe()
            check_sequences(journal, last, description.last_sequence)
            last = description.last_sequence
            acknowledged += len(journal.sequences)
            if round_ == 1:
                assert description.segments > 0, "segments should be tiny"
    assert acknowledged > 20 * SERVICE_ROUNDS
