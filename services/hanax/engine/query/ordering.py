"""Points in the order of a metadata field (hanax.core.field_order), a page at a time."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest
from itertools import chain
from typing import Final, NamedTuple

import numpy as np

from hanax.core.field_order import NONE, Entry, Key, Start, in_order, is_behind, key_of, key_to_json
from hanax.core.field_values import Path
from hanax.core.filters import Filter
from hanax.engine.query.ordered_columns import Wanted, first_rows, tells_order
from hanax.engine.query.reading import allowed_flags
from hanax.engine.query.values import decoded_values, divide
from hanax.engine.segment.view import Places, View

# Beyond a page, how many points may be held before those that can't be on it are dropped.
_SLACK: Final = 4_096
# Rows whose ids are read at a time.
_RUN: Final = 65_536


class Order(NamedTuple):
    """start: behind which point the page begins; None: from the first."""

    path: Path
    descending: bool
    start: Start | None


class OrderedPage(NamedTuple):
    """keys: JSON of (kind, value), one per place."""

    places: Places
    keys: list[bytes]
    has_more: bool


def scroll_by(view: View, order: Order, limit: int, expression: Filter | None) -> OrderedPage:
    """The next `limit` matching points in this order."""
    first = _First(order, limit + 1)
    for number, part in enumerate(view.segments):
        divided = divide(part, order.path, allowed_flags(part, expression), tells_order)
        wanted = Wanted(None if order.start is None else order.start.key, order.descending, limit + 1)
        known = chain.from_iterable(first_rows(told, wanted) for told in divided.told)
        for key, rows in chain(known, [(Key(NONE, 0), np.flatnonzero(divided.absent))]):
            for place in range(0, len(rows), _RUN):
                run = rows[place : place + _RUN]
                first.take_alike(key, number, run.tolist(), part.segment.ids(run))
        for rows, values in decoded_values(part, order.path, divided.decode):
            keys = [key_of(value, order.descending) for value in values]
            first.take(keys, number, rows.tolist(), part.segment.ids(rows))
    found = first.entries()
    page = found[:limit]
    places = Places(
        np.array([entry.part for entry in page], np.int64),
        np.array([entry.row for entry in page], np.int64),
    )
    return OrderedPage(places, [key_to_json(entry.key) for entry in page], len(found) > limit)


class _First:
    """The first `most` points behind the start, of all that are taken."""

    def __init__(self, order: Order, most: int) -> None:
        self._start = order.start
        self._descending = order.descending
        self._most = most
        self._found: list[Entry] = []

    def take(self, keys: list[Key], part: int, rows: list[int], ids: list[bytes]) -> None:
        start = self._start
        self._found.extend(
            Entry(key, id_, part, row)
            for key, row, id_ in zip(keys, rows, ids, strict=True)
            if start is None or is_behind(key, id_, start, self._descending)
        )
        if len(self._found) > self._most + _SLACK:
            self._found = self.entries()

    def take_alike(self, key: Key, part: int, rows: list[int], ids: list[bytes]) -> None:
        """Many points of one key: ids alone decide among them, so few are kept at once."""
        if len(rows) > self._most:
            start = self._start
            pairs: Iterable[tuple[bytes, int]] = zip(ids, rows, strict=True)
            if start is not None and start.key == key:
                pairs = (pair for pair in pairs if pair[0] > start.id)
            best = nsmallest(self._most, pairs)
            ids, rows = [id_ for id_, _ in best], [row for _, row in best]
        self.take([key] * len(rows), part, rows, ids)

    def entries(self) -> list[Entry]:
        return in_order(self._found, self._descending)[: self._most]
