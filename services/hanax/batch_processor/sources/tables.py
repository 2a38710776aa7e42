"""Items by columns: of files that hold vectors as columns, for who has a use for a whole matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from hanax.batch_processor.sources import Item, Part, Source
from hanax.core.errors import HanaxError


@dataclass(frozen=True, slots=True)
class Table:
    """`count` items, the first of which is number `first`.

    vectors: columns that hold nothing else, by name: float32[count, dimension]. rows: the other fields of
    each item; empty: there are none. faults: why items can't be read, by their place.
    """

    first: int
    count: int
    vectors: Mapping[str, npt.NDArray[np.float32]]
    rows: Sequence[dict[str, Any]] = ()
    faults: Mapping[int, HanaxError] = field(default_factory=dict)

    def items(self) -> Iterator[Item]:
        """One by one."""
        for place in range(self.count):
            fault = self.faults.get(place)
            fields = dict(self.rows[place]) if self.rows and fault is None else {}
            if fault is None:
                fields.update((name, column[place]) for name, column in self.vectors.items())
            yield Item(self.first + place, None, fields, fault)


@runtime_checkable
class TableSource(Source, Protocol):
    """A `Source` that can be read by columns as well."""

    def tables(self, part: Part, skip: int, most: int) -> Iterator[Table]:
        """As `read`, at most so many items at once."""
        ...
