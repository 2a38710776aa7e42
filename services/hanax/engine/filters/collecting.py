"""From metadata objects to the columns of each path: each object is decoded once, then columns are whole.

Objects come in runs. Of each run a field is taken out of all objects at once and told apart by type, so that
a value costs no step of Python of its own as long as a field holds one type. What is kept of a value
is its row and the value as a number; of a text, the number of its first occurrence.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, compress
from operator import itemgetter
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from hanax.core.errors import Cancelled
from hanax.core.geo import point_of
from hanax.core.provenance import NOT_INDEXED
from hanax.engine.filters.finishing import PathValues, finish_path
from hanax.engine.filters.metadata_index import LeftOut, MetadataIndex

Rows = NDArray[np.uint32]

# Paths of one segment. Each costs some microseconds at every run, also where few objects have it.
MAX_PATHS: Final = 256
# Bytes held while collecting: so many, and so many for each row.
_BYTES: Final = 64 * 1024 * 1024
_BYTES_PER_ROW: Final = 128
# Longer texts are documents, and are compared where they lie unless the path is pinned as text.
MAX_KEYWORD_CHARS: Final = 1_024
# What a text costs beside its characters while collecting.
_TEXT_OVERHEAD: Final = 120

_INT64_MAX: Final = 2**63 - 1


def collecting_bytes(rows: int) -> int:
    """Memory that the values of so many rows take at most."""
    return _BYTES + _BYTES_PER_ROW * rows


class Collector:
    """Takes the objects of a segment's rows in their order, run by run."""

    def __init__(self, pins: Mapping[str, str]) -> None:
        """pins: core.specs.PayloadIndex by dotted path."""
        self._pins = pins
        self._paths: dict[str, PathValues] = {}
        self._dropped: set[str] = set()
        self._overflow = False
        self._rows = 0

    def add(self, blobs: Sequence[bytes]) -> None:
        """The next rows' metadata, a run of some thousand: JSON objects."""
        objects = list(map(orjson.loads, blobs))
        if not objects:
            return
        rows = np.arange(self._rows, self._rows + len(objects), dtype=np.uint32)
        self._rows += len(objects)
        dotted: dict[str, Rows] = {}
        plain = []
        for key in sorted(set().union(*objects)):
            if "." not in key:
                plain.append(key)
            elif all(key.split(".")):
                values, here = _column(objects, rows, key)
                dotted[key] = here
                self._take(key, values, here, None)
        for key in plain:
            if key:
                self._take(key, *_column(objects, rows, key), dotted)
        self._keep_within_bounds()

    def finish(self, stopped: threading.Event | None = None) -> MetadataIndex:
        """Raises Cancelled soon after `stopped` is set."""

        def check() -> None:
            if stopped is not None and stopped.is_set():
                raise Cancelled("the index of metadata is not wanted any more")

        arrays: dict[str, dict[str, NDArray[Any]]] = {}
        facts: dict[str, dict[str, int]] = {}
        for name in sorted(self._paths):
            # One path at a time: the pieces of those that are done are let go.
            arrays[name], facts[name] = finish_path(self._paths.pop(name), self._rows, check)
        left_out = LeftOut(frozenset(self._dropped), self._overflow)
        return MetadataIndex(self._rows, arrays, facts, left_out, self._pins)

    def _path(self, name: str) -> PathValues | None:
        if name in self._dropped:
            return None
        path = self._paths.get(name)
        if path is None:
            pin = self._pins.get(name, "none" if name in NOT_INDEXED else "")
            if pin == "none":
                # Bounded: pins are, and what is never indexed.
                self._dropped.add(name)
                return None
            if len(self._paths) >= MAX_PATHS:
                self._overflow = True
                return None
            path = self._paths[name] = PathValues(pin)
        return path

    def _take(self, name: str, values: list[Any], rows: Rows, dotted: Mapping[str, Rows] | None) -> None:
        """Values of one path and their rows. dotted: rows where a top-level key that is spelt like a path is.

        None: under a key with dots itself, where no path leads on.
        """
        path = self._path(name)
        if path is not None:
            path.mark("there", rows)
        for kind, chosen, here in _by_type(values, rows):
            if kind is dict:
                self._take_objects(name, path, chosen, here, dotted)
            elif path is None:
                continue
            elif kind is list:
                _take_arrays(path, chosen, here)
            elif kind is type(None):
                path.mark("null", here)
                path.mark("void", here)
                path.add("counts", np.zeros(len(here), np.int64), here)
            else:
                if kind is str and "" in chosen:
                    path.mark("void", here[[value == "" for value in chosen]])
                _take_scalars(path, kind, chosen, here)

    def _take_objects(
        self,
        name: str,
        path: PathValues | None,
        objects: list[dict[str, Any]],
        rows: Rows,
        dotted: Mapping[str, Rows] | None,
    ) -> None:
        if path is not None:
            _take_points(path, objects, rows)
            empty = [not value for value in objects]
            if any(empty):
                path.mark("void", rows[empty])
        if dotted is None:
            return
        for key in sorted(set().union(*objects)):
            # Below the top, keys that are empty or have dots can't be named.
            if not key or "." in key:
                continue
            below = f"{name}.{key}"
            values, here = _column(objects, rows, key)
            if below in dotted:
                kept = ~np.isin(here, dotted[below])
                values, here = list(compress(values, kept)), here[kept]
            if values:
                self._take(below, values, here, dotted)

    def _keep_within_bounds(self) -> None:
        """Let the largest paths go until the rest fits."""
        limit = collecting_bytes(self._rows)
        while sum(path.bytes for path in self._paths.values()) > limit:
            largest = max(self._paths, key=lambda name: (self._paths[name].bytes, name))
            del self._paths[largest]
            self._dropped.add(largest)


def _column(objects: list[dict[str, Any]], rows: Rows, key: str) -> tuple[list[Any], Rows]:
    """The key's value in each object that has it, and the rows of those."""
    try:
        return list(map(itemgetter(key), objects)), rows
    except KeyError:
        here = [key in value for value in objects]
        return list(map(itemgetter(key), compress(objects, here))), rows[here]


def _by_type(values: list[Any], rows: Rows) -> Iterable[tuple[type, list[Any], Rows]]:
    kinds = list(map(type, values))
    distinct = set(kinds)
    if len(distinct) == 1:
        yield distinct.pop(), values, rows
        return
    for kind in sorted(distinct, key=lambda one: one.__name__):
        here = [one is kind for one in kinds]
        yield kind, list(compress(values, here)), rows[here]


def _take_arrays(path: PathValues, arrays: list[list[Any]], rows: Rows) -> None:
    lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
    path.mark("arrays", rows)
    path.mark("void", rows[lengths == 0])
    other = lengths != 1
    path.add("counts", lengths[other], rows[other])
    elements = list(chain.from_iterable(arrays))
    for kind, chosen, here in _by_type(elements, np.repeat(rows, lengths)):
        if kind is dict:
            _take_points(path, chosen, here)
        elif kind is type(None):
            path.mark("null", here)
        elif kind is not list:
            _take_scalars(path, kind, chosen, here)


def _take_scalars(path: PathValues, kind: type, values: list[Any], rows: Rows) -> None:
    if kind not in path.types:
        path.mark("rest", rows)
        return
    _TAKE[kind](path, values, rows)


def _take_texts(path: PathValues, texts: list[str], rows: Rows) -> None:
    lengths = list(map(len, texts))
    if path.pin != "text" and max(lengths) > MAX_KEYWORD_CHARS:
        short = [length <= MAX_KEYWORD_CHARS for length in lengths]
        path.mark("rest", rows[[not one for one in short]])
        texts, lengths, rows = list(compress(texts, short)), list(compress(lengths, short)), rows[short]
    known = len(path.ordinals)
    codes = np.fromiter(map(path.ordinals.__getitem__, texts), np.uint32, len(texts))
    if fresh := len(path.ordinals) - known:
        # A word in the index costs about as much as the text it is in.
        factor = 4 if path.pin == "text" else 1
        path.bytes += fresh * (_TEXT_OVERHEAD + factor * sum(lengths) // len(lengths))
    path.add("texts", codes, rows)


def _take_integers(path: PathValues, values: list[int], rows: Rows) -> None:
    if max(values) > _INT64_MAX:
        big = [value > _INT64_MAX for value in values]
        path.add("bigs", np.array(list(compress(values, big)), np.uint64), rows[big])
        small = [not one for one in big]
        values, rows = list(compress(values, small)), rows[small]
    path.add("ints", np.array(values, np.int64), rows)


def _take_floats(path: PathValues, values: list[float], rows: Rows) -> None:
    path.add("floats", np.array(values, np.float64), rows)


def _take_flags(path: PathValues, values: list[bool], rows: Rows) -> None:
    flags = np.array(values, np.bool_)
    path.mark("true", rows[flags])
    path.mark("false", rows[~flags])


_TAKE: Final[dict[type, Callable[[PathValues, list[Any], Rows], None]]] = {
    str: _take_texts,
    int: _take_integers,
    float: _take_floats,
    bool: _take_flags,
}


def _take_points(path: PathValues, objects: list[dict[str, Any]], rows: Rows) -> None:
    """Objects that are places on the earth. Others only have fields."""
    places = [
        (point, row)
        for value, row in zip(objects, rows.tolist(), strict=True)
        if "lat" in value and (point := point_of(value)) is not None
    ]
    if not places:
        return
    here = np.array([row for _, row in places], np.uint32)
    if dict not in path.types:
        path.mark("rest", here)
        return
    path.add("points", np.array([point for point, _ in places], np.float64), here)
