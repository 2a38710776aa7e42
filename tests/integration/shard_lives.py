"""`python -m tests.integration.shard_lives FOLDER EVENTS`: lives of a shard that are ended from outside.

Imports take a second, so this process makes them once and forks for each life. It reads round numbers
from standard input and answers with the process id of a life, and with its end. A life opens the shard
and writes as fast as it can, telling the pipe EVENTS what it does: `begin writer number`, `done writer
sequence`, `refused writer`.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from hanax.core.distances import Metric
from hanax.core.errors import Overloaded
from hanax.core.filter_parsing import parse_filter
from hanax.core.ids import encode_id
from hanax.engine.shard import (
    Background,
    Conditions,
    MetadataChange,
    Schema,
    Shard,
    ShardOptions,
    WriteMode,
)
from tests.integration.crash_load import DIMENSION, WRITERS, Operation, operation

SCHEMA = Schema.single(DIMENSION, Metric.EUCLIDEAN)
# Segments are sealed and merged all the time.
OPTIONS = ShardOptions(segment_max_rows=48, log_max_bytes=20_000)


_MODES = {"upsert": WriteMode.UPSERT, "insert": WriteMode.INSERT, "replace": WriteMode.UPDATE}


def now_us() -> int:
    return time.time_ns() // 1_000


def write(shard: Shard, task: Operation) -> int:
    """Returns the sequence."""
    ids = [encode_id(id_) for id_ in task.ids]
    blobs = [json.dumps(content.metadata).encode() for content in task.contents]
    if task.kind in _MODES:
        vectors = np.array([content.vector for content in task.contents], np.float32)
        conditions = Conditions(_MODES[task.kind])
        return shard.upsert(ids, {"default": vectors}, blobs, conditions).sequence
    if task.kind == "update":
        return shard.update_metadata(ids, blobs, replace=False).sequence
    if task.kind == "delete":
        return shard.delete(ids).sequence
    if task.kind == "change_matching":
        change = MetadataChange(json.dumps(task.change).encode())
        return shard.metadata_changes.matching(parse_filter(task.filter), change, lambda: True).sequence
    return shard.delete_matching(parse_filter(task.filter)).sequence


class Life:
    def __init__(self, folder: Path, events: int, round_: int) -> None:
        self._folder = folder
        self._events = events
        self._round = round_
        self._answered = 0
        self._progress = threading.Condition()

    def live(self) -> None:
        """Until the process is killed."""
        self._tell("opening")
        shard = Shard.open(self._folder / "shard", SCHEMA, OPTIONS, Background(2), now_us)
        work: list[Callable[[], None]] = [partial(self._write, shard, writer) for writer in range(WRITERS)]
        work.append(partial(self._maintain, shard))
        threads = [threading.Thread(target=self._guard, args=(one,)) for one in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException:
            self._tell("trouble " + json.dumps(traceback.format_exc()))

    def _write(self, shard: Shard, writer: int) -> None:
        for number in itertools.count():
            self._tell(f"begin {writer} {number}")
            try:
                sequence = write(shard, operation(self._round, writer, number))
            except Overloaded:
                self._tell(f"refused {writer}")
            else:
                self._tell(f"done {writer} {sequence}")
            with self._progress:
                self._answered += 1
                self._progress.notify_all()

    def _maintain(self, shard: Shard) -> None:
        """A copy in each life, sooner or later, and some rewriting."""
        self._await_writes(5 * (self._round % 4))
        shard.snapshot(self._folder / f"copy-{self._round}")
        while True:
            self._await_writes(10)
            shard.compact()

    def _await_writes(self, count: int) -> None:
        """Return when so many more were answered."""
        with self._progress:
            enough = self._answered + count
            self._progress.wait_for(lambda: self._answered >= enough)

    def _tell(self, what: str) -> None:
        # Lines this short reach a pipe whole.
        os.write(self._events, what.encode()[:4_000] + b"\n")


def main() -> None:
    folder, events = Path(sys.argv[1]), int(sys.argv[2])
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            Life(folder, events, int(line)).live()
            os._exit(1)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
