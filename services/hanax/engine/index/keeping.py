"""How many candidates codes have to keep for the next, more exact comparison, and how many rows a search
under a mask has to read: learnt by asking for some rows.

Fewer are faster. While few lists are read, which miss neighbours anyway, losing a few more matters little;
a search that reads enough lists to find nearly all must not lose them here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# For few neighbours, whose number is no measure.
_MORE_OF_PRODUCT = 16
_MORE_OF_SCALAR = 2
_PRODUCT = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
_SCALAR = (0.9, 1.1, 1.5, 2.0, 3.0, 4.5)
# What may be lost where few lists are read, and where many are.
_LOSS_AT_FEW, _LOSS = 0.02, 0.003
# Shares of the neighbours that few and many lists hold.
_FEW_LISTS_HOLD, _MANY_LISTS_HOLD = 0.95, 0.985
# Queries are farther from their neighbours than rows are, and those are harder to tell apart.
_MORE_FOR_QUERIES = 1.5
# Allowed rows met for each neighbour, and what may be lost by meeting no more.
_MASKED = (1.5, 2.0, 3.0, 4.0, 5.0)
MOST_READ = 7.0
_LOSS_UNDER_MASKS = 0.01
# Where a cluster has so few allowed rows, neighbours are in lists in no order.
_LEAST_SHARE = 0.05


class Kept(NamedTuple):
    """Candidates for each neighbour asked for.

    product: of product codes, from `many` lists on; product_at_few: up to `few` lists. scalar: of int8 codes.
    masked: as in `rows_under_mask`.
    """

    product: float
    scalar: float
    product_at_few: float
    few: int
    many: int
    masked: float = MOST_READ

    def product_at(self, k: int, nprobe: int) -> int:
        return math.ceil(_factor(self, nprobe) * k) + _MORE_OF_PRODUCT

    def scalar_at(self, k: int) -> int:
        return math.ceil(self.scalar * k) + _MORE_OF_SCALAR


@lru_cache(maxsize=1_024)
def _factor(kept: Kept, nprobe: int) -> float:
    share = math.log(max(nprobe, kept.few) / kept.few) / math.log(max(kept.many, kept.few + 1) / kept.few)
    return kept.product_at_few + (kept.product - kept.product_at_few) * min(1.0, share)


# Before less is learnt.
MOST_KEPT = Kept(48.0, 8.0, 48.0, 1, 1)

# Rows nearest to some rows, themselves first: (kept, nprobe) -> int64[q, k].
Ask = Callable[[Kept, int], NDArray[np.int64]]


def learn(ask: Ask, efforts: tuple[int, ...]) -> Kept:
    """efforts: numbers of lists to read, ascending, the last of them enough."""
    enough = efforts[-1]
    best = ask(MOST_KEPT, enough)

    def loss(kept: Kept, nprobe: int) -> float:
        found = ask(kept, nprobe)[:, :, None] == best[:, None, :]
        # But for the row itself, which is no merit.
        return 1.0 - float(found.any(axis=1)[:, 1:].mean()) if best.shape[1] > 1 else 0.0

    def lists_that_hold(share: float) -> int:
        return next((n for n in efforts if loss(MOST_KEPT, n) <= 1.0 - share), enough)

    def least(ladder: tuple[float, ...], allowed: float, kept_with: Callable[[float], Kept]) -> float:
        return next((factor for factor in ladder if loss(kept_with(factor), enough) <= allowed), ladder[-1])

    few = lists_that_hold(_FEW_LISTS_HOLD)
    kept = MOST_KEPT._replace(few=few, many=max(few + 1, lists_that_hold(_MANY_LISTS_HOLD)))
    kept = kept._replace(scalar=0.2 + least(_SCALAR, _LOSS, lambda factor: kept._replace(scalar=factor)))

    def product(allowed: float) -> float:
        return least(_PRODUCT, allowed, lambda factor: kept._replace(product=factor, product_at_few=factor))

    return kept._replace(product=product(_LOSS) + _MORE_FOR_QUERIES, product_at_few=product(_LOSS_AT_FEW))


def rows_under_mask(met: float, k: int, share: float) -> float:
    """Rows of lists that are read for k neighbours among a share of the rows.

    met: of a tenth of the rows, allowed ones that the lists hold on average for each neighbour, over ten.
    """
    return met * k / share / max(share, _LEAST_SHARE)


def learn_masked(ask: Callable[[float], NDArray[np.int64]]) -> float:
    """`Kept.masked`. ask: it -> rows nearest to some rows under a mask, int64[q, k]."""
    best = ask(math.inf)

    def loss(met: float) -> float:
        return 1.0 - float((ask(met)[:, :, None] == best[:, None, :]).any(axis=1).mean())

    return next((met for met in _MASKED if loss(met) <= _LOSS_UNDER_MASKS), MOST_READ)
