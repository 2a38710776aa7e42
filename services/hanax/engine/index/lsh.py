"""Locality-sensitive hashing with multi-probe search (hanax.engine.kernels.lsh, lsh_tables).

Cosine and dot: random hyperplanes. Each passes through the middle of the rows' projections instead of the
origin, so that both halves hold as many. Euclidean: cells on Gaussian directions; manhattan: on Cauchy ones.
Their width is learnt from the data. The effort is the buckets read in each table, on average over the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.index_specs import LshIndex, Quantisation
from hanax.engine.index.flat import Flat
from hanax.engine.index.protocol import Arrays, Effort, Mask, Nearest, Source, Work
from hanax.engine.index.rescoring import KERNEL_METRIC, NO_MASK, kernel_queries, metric_distances
from hanax.engine.index.sampling import blocks_of, check, sample_of
from hanax.engine.index.space import Space
from hanax.engine.kernels import lsh as kernel
from hanax.engine.kernels import lsh_tables

# Rows that the width of cells makes a bucket hold, of those that a row looks into on average.
_BUCKET_ROWS = 48
_BISECTIONS = 20
_TABLES_LEARNT_FROM = 8
_EFFORTS = (
    1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768,
    1_024, 1_536, 2_048, 3_072, 4_096, 6_144, 8_192, 10_000,
)  # fmt: skip
# Looking a row up in a bucket and its mask costs this part of comparing it.
_LOOK_UP = 0.05


@dataclass(frozen=True, slots=True)
class Hashing:
    """directions: float32[t * h, w]. shifts: float32[t * h]. factors: uint64[h].

    width: of a cell, 0 for halves. A table has 2^bits slots. spread: keys are more than that, and folded.
    """

    directions: NDArray[np.float32]
    shifts: NDArray[np.float32]
    width: float
    factors: NDArray[np.uint64]
    bits: int

    @property
    def tables(self) -> int:
        return len(self.directions) // len(self.factors)

    @property
    def spread(self) -> bool:
        return self.width > 0.0 or self.bits < len(self.factors)

    def project(self, mapped: NDArray[np.float32]) -> NDArray[np.float32]:
        projections = np.empty((len(mapped), len(self.directions)), np.float32)
        lsh_tables.project(self.directions, np.ascontiguousarray(mapped), projections)
        return projections

    def hash_rows(self, projections: NDArray[np.float32], first: int, slots: NDArray[np.uint32]) -> None:
        lsh_tables.hash_rows(
            projections,
            self.shifts,
            np.float32(self.width),
            self.factors,
            self.bits,
            self.spread,
            first,
            slots,
        )


def learn(space: Space, spec: LshIndex, sample: NDArray[np.float32], count: int) -> Hashing:
    """Choose the functions for `count` rows like the sample: float32[s, width], mapped."""
    random = np.random.default_rng(13)
    functions = spec.num_tables * spec.hash_size
    shape = (functions, space.width)
    directions = random.standard_cauchy(shape) if space.l1 else random.standard_normal(shape)
    # More slots than rows would be empty for the most part.
    bits = max(1, (count - 1).bit_length())
    hyperplanes = space.metric in {Metric.COSINE, Metric.DOT}
    hashing = Hashing(
        directions.astype(np.float32),
        np.zeros(functions, np.float32),
        0.0,
        np.uint64(1) << np.arange(spec.hash_size, dtype=np.uint64),
        min(bits, spec.hash_size),
    )
    projections = hashing.project(sample)
    if hyperplanes:
        return Hashing(hashing.directions, np.median(projections, axis=0), 0.0, hashing.factors, hashing.bits)
    factors = random.integers(1, 2**64, spec.hash_size, dtype=np.uint64) | np.uint64(1)
    offsets = random.random(functions)
    share = _BUCKET_ROWS / max(count, 1)

    def of_width(width: float) -> Hashing:
        return Hashing(hashing.directions, (offsets * width).astype(np.float32), width, factors, bits)

    return of_width(_width_for(share, projections, of_width))


def _width_for(share: float, projections: NDArray[np.float32], of_width: Callable[[float], Hashing]) -> float:
    """The width of cells at which two rows of the sample meet in a bucket with probability `share`."""
    middle = np.median(projections, axis=0)
    spread = float(np.median(np.abs(projections - middle)))
    if spread == 0.0:
        return 1.0
    low, high = np.log(spread * 1e-3), np.log(spread * 1e3)
    for _ in range(_BISECTIONS):
        width = float(np.exp((low + high) / 2))
        if _collisions(projections, of_width(width)) > share:
            high = np.log(width)
        else:
            low = np.log(width)
    return width


def _collisions(projections: NDArray[np.float32], hashing: Hashing) -> float:
    """The share of pairs of different rows that are in one bucket, over some tables: they differ."""
    slots = np.empty((min(hashing.tables, _TABLES_LEARNT_FROM), len(projections)), np.uint32)
    hashing.hash_rows(projections, 0, slots)
    pairs = 0.0
    for table in slots:
        counts = np.unique(table, return_counts=True)[1].astype(np.float64)
        pairs += float((counts * (counts - 1)).sum())
    return pairs / (len(slots) * max(1, len(projections) * (len(projections) - 1)))


class Lsh:
    """offsets: uint32[t, 2^bits + 1], rows: uint32[t, n]: the buckets of each table.

    bucket_rows: how many rows are in a row's bucket, on average.
    """

    def __init__(
        self,
        source: Source,
        space: Space,
        hashing: Hashing,
        tables: tuple[NDArray[np.uint32], NDArray[np.uint32]],
        bucket_rows: float,
    ) -> None:
        self._source = source
        self._space = space
        self._hashing = hashing
        self._offsets, self._rows = tables
        self._bucket_rows = bucket_rows
        self._exact = Flat(source, "none", None)

    @classmethod
    def build(cls, source: Source, spec: LshIndex, quantisation: Quantisation, work: Work) -> Lsh:
        space = Space.of(source)
        count = len(source.vectors)
        check(work)
        hashing = learn(space, spec, sample_of(space, source), count)
        slots = np.empty((spec.num_tables, count), np.uint32)
        for rows in blocks_of(count, work):
            hashing.hash_rows(hashing.project(space.rows(source, rows)), rows.start, slots)
        offsets = work.allocate("offsets", np.uint32, (spec.num_tables, 2**hashing.bits + 1))
        table_rows = work.allocate("rows", np.uint32, (spec.num_tables, count))
        met = 0.0
        for table in range(spec.num_tables):
            check(work)
            lsh_tables.fill_table(slots[table], offsets[table], table_rows[table])
            sizes = np.diff(offsets[table]).astype(np.float64)
            met += float((sizes * sizes).sum())
        bucket_rows = met / max(1, count * spec.num_tables)
        return cls(source, space, hashing, (offsets, table_rows), bucket_rows)

    @classmethod
    def load(cls, arrays: Arrays, parameters: dict[str, Any], source: Source) -> Lsh:
        space = Space(source.metric, source.vectors.shape[1], parameters["longest"])
        hashing = Hashing(
            arrays["directions"], arrays["shifts"], parameters["width"], arrays["factors"], parameters["bits"]
        )
        return cls(source, space, hashing, (arrays["offsets"], arrays["rows"]), parameters["bucket_rows"])

    @property
    def arrays(self) -> Arrays:
        hashing = self._hashing
        return {
            "directions": hashing.directions,
            "shifts": hashing.shifts,
            "factors": hashing.factors,
            "offsets": self._offsets,
            "rows": self._rows,
        }

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "longest": self._space.longest,
            "width": self._hashing.width,
            "bits": self._hashing.bits,
            "bucket_rows": self._bucket_rows,
        }

    @property
    def efforts(self) -> tuple[int, ...]:
        """Up to the first at which the exact scan is no slower, and answers."""
        count = len(self._source.vectors)
        exact = next(
            (place for place, probes in enumerate(_EFFORTS) if self._scan_is_faster(probes, count)), 0
        )
        return _EFFORTS[: exact + 1] if exact else _EFFORTS

    def search(self, queries: NDArray[np.float32], k: int, mask: Mask | None, effort: Effort) -> Nearest:
        count = len(self._source.vectors)
        allowed = count if mask is None else mask.count
        # Among the allowed rows the k nearest are as far as more of all the rows.
        probes = effort.at(k * count / max(1, allowed))
        if self._scan_is_faster(probes, allowed):
            return self._exact.search(queries, k, mask, effort)
        source, hashing = self._source, self._hashing
        asked = kernel_queries(source.metric, queries)
        mapped = asked if source.metric is Metric.COSINE else self._space.queries(queries)
        distances = np.empty((len(queries), k), np.float32)
        rows = np.empty((len(queries), k), np.int64)
        kernel.search(
            KERNEL_METRIC[source.metric],
            source.vectors,
            source.inverse_norms,
            asked,
            hashing.project(mapped),
            hashing.shifts,
            np.float32(hashing.width),
            hashing.factors,
            hashing.spread,
            self._offsets,
            self._rows,
            probes,
            mask is not None,
            NO_MASK if mask is None else mask.words,
            distances,
            rows,
        )
        found = Nearest(metric_distances(source.metric, distances), rows)
        short = np.flatnonzero(rows[:, -1] < 0)
        if len(short):
            exact = self._exact.search(np.ascontiguousarray(queries[short]), k, mask, effort)
            distances[short], rows[short] = exact
        return found

    def _scan_is_faster(self, probes: int, allowed: int) -> bool:
        count = max(1, len(self._source.vectors))
        looked_up = min(count, probes * self._hashing.tables * self._bucket_rows)
        return allowed <= looked_up * (allowed / count + _LOOK_UP)
