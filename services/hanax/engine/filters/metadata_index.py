"""The metadata index of n rows: the columns of every path, immutable, saved as one file of arrays.

It answers for the paths that it has. A path that it lacks occurs in no row, unless it was left out: pinned
to "none", too large, or one of too many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanax.engine.filters.columns import PathColumns

# Arrays begin at multiples of this: a line of the processor's cache.
_ALIGNMENT: Final = 64


class LeftOut(NamedTuple):
    """Paths that are not indexed though they occur. more: others too, beyond the most; nobody knows which."""

    paths: frozenset[str]
    more: bool


class Coverage(NamedTuple):
    """left_out: paths that are not indexed though they occur; at least one more if `more`."""

    left_out: tuple[str, ...]
    more: bool
    bytes: int


class MetadataIndex:
    def __init__(
        self,
        rows: int,
        arrays: Mapping[str, Mapping[str, NDArray[Any]]],
        facts: Mapping[str, Mapping[str, int]],
        left_out: LeftOut,
        pins: Mapping[str, str] | None,
    ) -> None:
        """arrays, facts: by path. pins: core.specs.PayloadIndex by path, as it was made by; None: unknown."""
        self.rows = rows
        self._arrays = arrays
        self._facts = facts
        self._left_out = left_out
        self._pins = pins
        self._columns: dict[str, PathColumns] = {}

    def columns(self, path: str) -> PathColumns | None:
        found = self._columns.get(path)
        if found is None and path in self._facts:
            found = PathColumns(self._arrays[path], self._facts[path], self.rows)
            self._columns[path] = found
        return found

    def is_absent(self, path: str) -> bool:
        """No row has it. Of a path without columns; False where it was left out."""
        return not self._left_out.more and path not in self._left_out.paths

    def goes_by(self, pins: Mapping[str, str]) -> bool:
        """Whether these pins would make no other: they differ, if at all, in fields that no row has."""
        if self._pins is None:
            return False
        others = {path for path, _ in self._pins.items() ^ pins.items()}
        return all(path not in self._facts and self.is_absent(path) for path in others)

    @property
    def paths(self) -> Set[str]:
        return self._facts.keys()

    @cached_property
    def coverage(self) -> Coverage:
        size = sum(array.nbytes for arrays in self._arrays.values() for array in arrays.values())
        return Coverage(tuple(sorted(self._left_out.paths)), self._left_out.more, size)

    def saved(self) -> tuple[dict[str, Any], Iterator[bytes | NDArray[Any]]]:
        """The document that `load` takes, and the bytes that go with it, piece by piece."""
        paths: dict[str, Any] = {}
        pieces: list[bytes | NDArray[Any]] = []
        offset = 0
        for path, arrays in self._arrays.items():
            places = {}
            for name, array in arrays.items():
                places[name] = [array.dtype.str, offset, array.size]
                padding = -array.nbytes % _ALIGNMENT
                pieces += [array, bytes(padding)]
                offset += array.nbytes + padding
            paths[path] = {"arrays": places, "facts": dict(self._facts[path])}
        document = {
            "rows": self.rows,
            "paths": paths,
            "left_out": sorted(self._left_out.paths),
            "more_left_out": self._left_out.more,
            "pins": None if self._pins is None else dict(self._pins),
        }
        return document, iter(pieces)

    @classmethod
    def load(cls, document: dict[str, Any], data: NDArray[np.uint8]) -> MetadataIndex:
        """data: the bytes, mapped; arrays are views of them."""
        paths = document["paths"]
        return cls(
            document["rows"],
            {path: _Views(entry["arrays"], data) for path, entry in paths.items()},
            {path: entry["facts"] for path, entry in paths.items()},
            LeftOut(frozenset(document["left_out"]), document["more_left_out"]),
            document.get("pins"),
        )


@dataclass(frozen=True, slots=True)
class IndexedRows:
    """An index of consecutive rows of a segment, from `base`, a multiple of 64."""

    base: int
    index: MetadataIndex


class _Views(Mapping[str, NDArray[Any]]):
    """Arrays at places of one array of bytes; made when they are asked for, as most never are."""

    def __init__(self, places: dict[str, list[Any]], data: NDArray[np.uint8]) -> None:
        self._places = places
        self._data = data

    def __getitem__(self, name: str) -> NDArray[Any]:
        dtype, offset, size = self._places[name]
        kind = np.dtype(dtype)
        return self._data[offset : offset + size * kind.itemsize].view(kind)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
