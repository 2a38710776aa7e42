"""Points on their way between files, databases and a gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hanax.core.errors import HanaxError

Vector = npt.NDArray[np.float32]


@dataclass(slots=True)
class Row:
    """One point of a source, as POST /api/v1/vectors/insert takes it, but for the vector beside it.

    number: of the row among all of its source, from 1 on. place: where it is, in words. fault: why it can't
    be read; then the rest means nothing.
    """

    number: int
    place: str
    point: dict[str, Any] = field(default_factory=dict)
    vector: Vector | None = None
    fault: HanaxError | None = None

    def body(self) -> dict[str, Any]:
        if self.vector is None:
            return self.point
        return {**self.point, "vector": np.ascontiguousarray(self.vector)}

    def size(self) -> int:
        """Bytes of it in memory, about."""
        vector = 0 if self.vector is None else self.vector.nbytes
        return vector + sum(len(str(value)) for value in self.point.values())


@dataclass(frozen=True, slots=True)
class Shape:
    """What a source says of its points before they are read. None: it does not say.

    metric: as our collections name it.
    """

    dimension: int | None
    metric: str | None
    count: int | None


class PointSource(Protocol):
    """Read once, from its begin to its end, a page at a time: no more than a page is held."""

    async def shape(self) -> Shape:
        """Raises what makes it impossible to read."""
        ...

    def pages(self, skip: int) -> AsyncGenerator[Sequence[Row], None]:
        """All rows behind the first `skip`, in an order that is the same each time."""
        ...

    async def close(self) -> None: ...
