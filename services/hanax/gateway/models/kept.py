"""Vectors of texts that were embedded before, as the gateway finds them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hanax.core.model_routes import ModelRoute
from hanax.gateway.models.wanted import Wanted


@dataclass(frozen=True, slots=True)
class Row:
    """What a model made of one text.

    vector: float32[dimension]. tokens: read of the text; None where the model's server does not tell.
    version: of the model that made it. age_s: seconds since it was kept; 0 for one that was made now.
    """

    vector: NDArray[np.float32]
    tokens: int | None
    truncated: bool
    split: bool
    version: str
    age_s: float = 0.0


class EmbeddingCache(Protocol):
    """Neither call raises: what can't be read is missing, what can't be kept is not.

    The version of the model that made a vector is known when it has come, and a key is needed before. So it
    is looked for under the version that is known of the model (`ModelRoute.version`), and kept under the
    version that made it. What is found is therefore always of the version that it is told with; while
    several versions answer, in a roll-out, some of what is kept is not found, and nothing is mixed up.
    """

    async def get_many(self, model: ModelRoute, wanted: Wanted, texts: Sequence[str]) -> list[Row | None]:
        """Of each text, in order, all of `model.version`; None where it is not kept."""
        ...

    async def put_many(
        self, model: ModelRoute, wanted: Wanted, texts: Sequence[str], rows: Sequence[Row]
    ) -> None:
        """Each under its row's version."""
        ...


class NoCache:
    """Keeps nothing."""

    async def get_many(self, model: ModelRoute, wanted: Wanted, texts: Sequence[str]) -> list[Row | None]:
        return [None] * len(texts)

    async def put_many(
        self, model: ModelRoute, wanted: Wanted, texts: Sequence[str], rows: Sequence[Row]
    ) -> None:
        return None
