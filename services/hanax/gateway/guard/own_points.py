"""What a caller whose points are forced may see and write: the rules, without asking anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import PermissionDenied
from hanax.core.filter_parsing import filter_to_json, parse_filter_json
from hanax.core.filters import And, Condition, Filter, Operator
from hanax.core.limits import MAX_SEARCH_LIMIT
from hanax.gateway.guard.caller import Forced

# A page of a scroll, and few enough for a filter of the longest ids.
_IDS_AT_ONCE: Final = MAX_SEARCH_LIMIT


class OwnPoints:
    """Points whose metadata have the forced values. Methods raise PermissionDenied."""

    def __init__(self, forced: Forced) -> None:
        self.forced = forced
        self._conditions = tuple(Condition((name,), Operator.EQ, value) for name, value in forced.items())

    def filter(self, raw: bytes, ids: Sequence[bytes] | None = None) -> bytes:
        """Of a question with this filter: its wire form with the forced values, and these ids alone."""
        children: tuple[Filter, ...] = self._conditions
        if ids is not None:
            children = (Condition((), Operator.HAS_ID, tuple(ids)), *children)
        if raw:
            given = parse_filter_json(raw)
            # Beside the others where it can be, so that a filter at the greatest depth stays one.
            children = (*(given.children if isinstance(given, And) else (given,)), *children)
        return filter_to_json(And(children))

    def has(self, metadata: Mapping[str, object]) -> bool:
        """Whether these are metadata of one of its points."""
        return all(_same(metadata.get(name), value) for name, value in self.forced.items())

    def owned(self, raw: bytes, point_id: object) -> bytes:
        """Metadata of a point to be stored, with the forced values."""
        metadata = orjson.loads(raw)
        for name, value in self.forced.items():
            if name in metadata and not _same(metadata[name], value):
                raise refusal(f"point {point_id!r}: metadata.{name}: expected {value!r}")
            metadata[name] = value
        return orjson.dumps(metadata)

    def changed(self, raw: bytes, mode: pb.MetadataMode.ValueType) -> bytes:
        """What is merged into metadata, or takes their place."""
        metadata = orjson.loads(raw) if raw else {}
        for name, value in self.forced.items():
            if name in metadata and not _same(metadata[name], value):
                raise refusal(f"metadata.{name}: expected {value!r}")
            if mode == pb.METADATA_MODE_REPLACE:
                metadata[name] = value
        return orjson.dumps(metadata)


def in_parts(ids: Mapping[int, Sequence[bytes]]) -> Iterator[dict[int, Sequence[bytes]]]:
    """By shard, a bounded number of ids at a time."""
    longest = max((len(of_shard) for of_shard in ids.values()), default=0)
    for first in range(0, longest, _IDS_AT_ONCE):
        part = {shard: of_shard[first : first + _IDS_AT_ONCE] for shard, of_shard in ids.items()}
        yield {shard: of_shard for shard, of_shard in part.items() if of_shard}


def refusal(why: str) -> PermissionDenied:
    return PermissionDenied(f"this caller sees and writes points of its own alone: {why}")


def _same(found: object, forced: object) -> bool:
    return type(found) is type(forced) and found == forced
