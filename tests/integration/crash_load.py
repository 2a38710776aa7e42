"""A load of writes that can be told again from its numbers, and what may be left of it after a kill.

Each writer owns its ids and waits for each answer, so at a kill at most one write of each is in doubt.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

DIMENSION = 4
WRITERS = 3
IDS_PER_WRITER = 40
_BUCKETS = 3

Kind = Literal["upsert", "insert", "replace", "update", "change_matching", "delete", "delete_matching"]


class Content(NamedTuple):
    """What is stored of a point."""

    metadata: dict[str, Any]
    vector: list[float]


State = dict[int, Content]


@dataclass(frozen=True)
class Operation:
    """One write: number `number` of a writer in a round."""

    kind: Kind
    ids: list[int]
    contents: list[Content]
    bucket: int
    writer: int

    def apply(self, state: State) -> State:
        after = dict(state)
        for id_, content in zip(self.ids, self.contents, strict=True):
            if self.kind in ("upsert", "replace" if id_ in state else "insert"):
                after[id_] = content
            elif self.kind == "update" and id_ in after:
                old = after[id_]
                after[id_] = Content({**old.metadata, **content.metadata}, old.vector)
            elif self.kind == "delete":
                after.pop(id_, None)
        if self.kind == "change_matching":
            for id_, item in state.items():
                if item.metadata["bucket"] == self.bucket:
                    after[id_] = Content({**item.metadata, **self.change}, item.vector)
        if self.kind == "delete_matching":
            after = {id_: item for id_, item in after.items() if item.metadata["bucket"] != self.bucket}
        return after

    @property
    def change(self) -> dict[str, Any]:
        """Of the metadata of all that match."""
        return {"changed": self.bucket}

    @property
    def filter(self) -> list[dict[str, Any]]:
        return [
            {"field": "writer", "operator": "eq", "value": self.writer},
            {"field": "bucket", "operator": "eq", "value": self.bucket},
        ]


def operation(round_: int, writer: int, number: int) -> Operation:
    source = random.Random(f"{round_} {writer} {number}")
    kinds = list(get_args(Kind))
    (kind,) = source.choices(kinds, [45, 10, 5, 10, 5, 20, 5])
    ids = source.sample(range(1_000 * writer, 1_000 * writer + IDS_PER_WRITER), source.randint(1, 8))
    contents = []
    for id_ in ids:
        if kind == "update":
            metadata: dict[str, Any] = {"updated": f"{round_}.{number}"}
        else:
            metadata = {
                "writer": writer,
                "version": f"{round_}.{number}",
                "bucket": source.randrange(_BUCKETS),
                "padding": "x" * source.randrange(300),
            }
        contents.append(Content(metadata, [float(id_), float(round_), float(number), 1.0]))
    if kind in ("change_matching", "delete_matching"):
        ids, contents = [], []
    return Operation(kind, ids, contents, source.randrange(_BUCKETS), writer)


@dataclass
class Journal:
    """What the writers of one life said: what they began, what was acknowledged and with which sequence."""

    round_: int
    begun: dict[int, int] = field(default_factory=dict)
    in_doubt: dict[int, Operation] = field(default_factory=dict)
    sequences: list[int] = field(default_factory=list)

    def begin(self, writer: int, number: int) -> None:
        self.begun[writer] = self.begun.get(writer, 0) + 1
        self.in_doubt[writer] = operation(self.round_, writer, number)

    def acknowledge(self, writer: int, sequence: int, states: dict[int, State]) -> None:
        states[writer] = self.in_doubt.pop(writer).apply(states[writer])
        self.sequences.append(sequence)

    def refuse(self, writer: int) -> None:
        """The shard said that it wrote nothing."""
        del self.in_doubt[writer]


def check_states(found: Iterable[tuple[int, Content]], journal: Journal, states: dict[int, State]) -> int:
    """What is there after a kill: all that was acknowledged, and each write in doubt wholly or not at all.

    Brings `states` up to what is there. Returns how many writes in doubt had been made.
    """
    points = list(found)
    by_writer: dict[int, State] = {writer: {} for writer in range(WRITERS)}
    for id_, content in points:
        assert id_ not in by_writer[id_ // 1_000], f"point {id_} is there twice"
        by_writer[id_ // 1_000][id_] = content
    made = 0
    for writer, state in by_writer.items():
        without = states[writer]
        doubtful = journal.in_doubt.get(writer)
        with_it = without if doubtful is None else doubtful.apply(without)
        assert state in (without, with_it), (
            f"round {journal.round_}, writer {writer}, in doubt: {doubtful}\n"
            f"missing: {sorted(without.keys() - state.keys())}, "
            f"more: {sorted(state.keys() - without.keys())}, "
            f"changed: {[id_ for id_ in state.keys() & without.keys() if state[id_] != without[id_]]}"
        )
        made += state != without
        states[writer] = state
    return made
