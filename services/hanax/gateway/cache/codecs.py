"""Answers as bytes and back: a JSON document, and behind it the runs of bytes that it names by number.

Metadata stay as they are stored, and vectors float32; reading copies nothing but these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import orjson

T = TypeVar("T")

_HEAD_BYTES: Final = 4


class Unreadable(ValueError):
    """Bytes that no `encode` made."""


class Blobs:
    """Runs of bytes, by number."""

    def __init__(self, found: Sequence[bytes] = ()) -> None:
        self.found = list(found)

    def add(self, data: bytes) -> int:
        self.found.append(data)
        return len(self.found) - 1

    def __getitem__(self, number: int) -> bytes:
        return self.found[number]


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """ends_at_us: when an answer ends by itself, microseconds since 1970 UTC; infinity for never."""

    dump: Callable[[T, Blobs], object]
    load: Callable[[Any, Blobs], T]
    ends_at_us: Callable[[T], float] = lambda answer: math.inf

    def encode(self, answer: T) -> bytes:
        blobs = Blobs()
        document = self.dump(answer, blobs)
        head = orjson.dumps({"lengths": [len(blob) for blob in blobs.found], "data": document})
        return b"".join((len(head).to_bytes(_HEAD_BYTES, "little"), head, *blobs.found))

    def decode(self, raw: bytes) -> T:
        """Raises Unreadable."""
        try:
            start = _HEAD_BYTES + int.from_bytes(raw[:_HEAD_BYTES], "little")
            head = orjson.loads(raw[_HEAD_BYTES:start])
            blobs = Blobs()
            for length in head["lengths"]:
                blobs.add(raw[start : start + length])
                start += length
            if start != len(raw):
                raise Unreadable("cut short, or too long")
            return self.load(head["data"], blobs)
        except (LookupError, TypeError, ValueError) as error:
            raise Unreadable(str(error)) from None
