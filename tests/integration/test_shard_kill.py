"""kill -9 of a writing process at random moments: what was acknowledged is there, and nothing is there in part.

HANAX_KILL_ROUNDS scales it.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections import defaultdict
from multiprocessing.connection import Connection
from pathlib import Path

from hanax.engine.shard import Background, Shard
from tests.integration.shard_writer import (
    OPTIONS,
    SCHEMA,
    THREADS,
    Told,
    Versions,
    ids_of,
    read_versions,
    write_until_killed,
)

ROUNDS = int(os.environ.get("HANAX_KILL_ROUNDS", "100"))
LONGEST_LIFE_S = 0.25


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    # A server that has the engine imported already: a round costs a fork, not a start of Python.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.integration.shard_writer"])
    chance = random.Random(20_26)
    known: list[Versions] = [{} for _ in range(THREADS)]
    writes = merges = 0
    for seed in range(1, ROUNDS + 1):
        receiver, sender = processes.Pipe(duplex=False)
        child = processes.Process(target=write_until_killed, args=(tmp_path / "shard", seed, sender))
        child.start()
        sender.close()
        assert receiver.poll(30) and receiver.recv() == ("open",)
        told = listen(receiver, chance.uniform(0, LONGEST_LIFE_S))
        child.kill()
        finish(receiver, told)
        child.join()
        known, segment = verified(tmp_path / "shard", known, told)
        writes += sum(len(one.acknowledged) for one in told)
        merges = max(merges, segment)
    # The load was one: writes were acknowledged, and kills came while segments were made and merged.
    assert writes > 5 * ROUNDS
    assert merges > ROUNDS


def listen(receiver: Connection, seconds: float) -> list[Told]:
    """Take what the writer tells for some time, lest the pipe fill up."""
    told = [Told() for _ in range(THREADS)]
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if receiver.poll(left):
            take(told, receiver.recv())
    return told


def finish(receiver: Connection, told: list[Told]) -> None:
    """Take what the writer told before it died."""
    try:
        while True:
            take(told, receiver.recv())
    except (EOFError, OSError):
        # Its last message may have been cut off.
        receiver.close()


def take(told: list[Told], message: tuple[object, ...]) -> None:
    match message:
        case ("begin", int(thread), change):
            told[thread].unanswered = change  # type: ignore[assignment]
        case ("refused", int(thread)):
            told[thread].unanswered = None
        case ("done", int(thread)):
            change = told[thread].unanswered
            assert change is not None
            told[thread].acknowledged.append(change)
            told[thread].unanswered = None


def verified(folder: Path, known: list[Versions], told: list[Told]) -> tuple[list[Versions], int]:
    """The state that was found, and the highest segment number so far."""
    candidates: dict[bytes, set[int]] = defaultdict(set)
    for versions, one in zip(known, told, strict=True):
        for id_, (vector, _) in versions.items():
            candidates[id_].add(vector)
        for change in [*one.acknowledged, *([one.unanswered] if one.unanswered else [])]:
            for id_ in change.ids:
                candidates[id_].add(change.version)
    background = Background(1)
    shard = Shard.open(folder, SCHEMA, OPTIONS, background, lambda: 0)
    try:
        found = read_versions(shard, candidates)
        assert shard.count() == len(found)
        assert shard.get(sorted(found)).ids == sorted(found)
    finally:
        shard.close()
        background.close()
    states = []
    for thread, (before, one) in enumerate(zip(known, told, strict=True)):
        own = {id_: found[id_] for id_ in ids_of(thread) if id_ in found}
        expected = before
        for change in one.acknowledged:
            expected = change.applied_to(expected)
        whole = [expected, *([one.unanswered.applied_to(expected)] if one.unanswered else [])]
        assert own in whole, f"thread {thread}: {len(one.acknowledged)} writes, then {one.unanswered}"
        states.append(own)
    return states, max((int(path.name) for path in (folder / "segments").iterdir()), default=0)
