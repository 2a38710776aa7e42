"""IVF: lists of vectors around centroids, of which a search reads the nearest.

After Jégou, Douze & Schmid, "Product Quantization for Nearest Neighbor Search", TPAMI 2011. What a list holds
is the quantisation's matter: 4-bit product codes with int8 codes beside, 8-bit product codes, int8
codes, or vectors. A search costs O((lists + nprobe n / lists) d); a build O(n lists d) small operations.
Full vectors are read from the segment for the last few candidates alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.index_specs import IvfIndex, Quantisation
from hanax.engine.index.flat import Flat
from hanax.engine.index.keeping import MOST_READ, Kept, learn, learn_masked, rows_under_mask
from hanax.engine.index.list_codes import ListCodes, build_codes, load_codes
from hanax.engine.index.list_masks import all_allowed
from hanax.engine.index.lists import Lists, deal_out, default_lists, train
from hanax.engine.index.probes import Probe
from hanax.engine.index.protocol import Arrays, Effort, Mask, Nearest, Source, Work
from hanax.engine.index.rescoring import rescore, rescore_and_count
from hanax.engine.index.scalar import ScalarQuantiser
from hanax.engine.index.space import Space

# So few allowed rows, or so small a share, are compared in full: where neighbours are few and far between
# they lie in lists all over, and most lists would have to be read.
_FEW_ALLOWED = 256
_SMALL_SHARE = 1 / 64
# Neighbours among the allowed rows may lie deeper than the mean share says.
_DEEPER = 2.0
# A query that is near fewer allowed rows than others goes on until it has met this part of those that lists
# of `MOST_READ` rows hold on average.
_ENOUGH = 0.8
# Rows that are asked for to learn how many candidates codes have to keep, and how many lists masks take;
# and the share of the rows that is allowed then.
_LEARNING_QUERIES = 128
_LEARNING_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Ivf:
    source: Source
    space: Space
    quantiser: ScalarQuantiser
    lists: Lists
    codes: ListCodes

    @classmethod
    def build(cls, source: Source, spec: IvfIndex, quantisation: Quantisation, work: Work) -> Ivf:
        """The source has at least one row. Raises Cancelled."""
        space = Space.of(source)
        count = len(source.vectors)
        trained = train(space, source, min(count, spec.lists or default_lists(count)), work)
        lists = deal_out(space, source, trained, work)
        codes = build_codes(quantisation, space, source, trained, lists, work)
        return cls(source, space, trained.quantiser, lists, codes)._with_fewest_kept()

    def _with_fewest_kept(self) -> Ivf:
        count = len(self.source.vectors)
        rows = np.random.default_rng(5).choice(count, min(count, _LEARNING_QUERIES), replace=False)
        queries = self.source.vectors[np.sort(rows)]
        k, most = min(11, count), -(-self.lists.count // 4)

        def ask(kept: Kept, nprobe: int) -> NDArray[np.int64]:
            return self._keeping(kept)._nearest(queries, k, nprobe, None)[0].rows

        kept = learn(ask, (*(n for n in self.efforts if n < most), most))
        mask = _random_mask(count, _LEARNING_SHARE)
        if mask.count <= max(_FEW_ALLOWED, 2 * k):
            return self._keeping(kept)

        def ask_masked(rows: float) -> NDArray[np.int64]:
            nprobe = self._lists_of(rows_under_mask(rows, k, _LEARNING_SHARE))
            return self._keeping(kept)._nearest(queries, k, nprobe, mask)[0].rows

        return self._keeping(kept._replace(masked=learn_masked(ask_masked)))

    def _keeping(self, kept: Kept) -> Ivf:
        return replace(self, codes=replace(self.codes, kept=kept))

    @classmethod
    def load(cls, arrays: Arrays, parameters: dict[str, Any], source: Source) -> Ivf:
        space = Space(source.metric, source.vectors.shape[1], parameters["longest"])
        quantiser = ScalarQuantiser.load(arrays, parameters)
        return cls(source, space, quantiser, Lists.load(arrays), load_codes(arrays, parameters))

    @property
    def arrays(self) -> Arrays:
        return {**self.quantiser.arrays, **self.lists.arrays, **self.codes.arrays}

    @property
    def parameters(self) -> dict[str, Any]:
        return {**self.quantiser.parameters, **self.codes.parameters, "longest": self.space.longest}

    @property
    def efforts(self) -> tuple[int, ...]:
        steps = [1]
        while steps[-1] < self.lists.count:
            steps.append(min(self.lists.count, max(steps[-1] + 1, round(steps[-1] * 1.25))))
        return tuple(steps)

    def search(self, queries: NDArray[np.float32], k: int, mask: Mask | None, effort: Effort) -> Nearest:
        """Raises nothing; see `Index.search`."""
        count = len(self.source.vectors)
        nprobe, enough = max(effort.at(k), self._lists_of(2 * k)), 0
        if mask is not None:
            if mask.count <= max(_FEW_ALLOWED, 2 * k, count * _SMALL_SHARE):
                return self._among_allowed(queries, k, mask, effort)
            share = mask.count / count
            read, most = (rows_under_mask(rows, k, share) for rows in (self.codes.kept.masked, MOST_READ))
            # The k nearest of a share of the rows are among the k / share nearest of all.
            nprobe = max(effort.at(_DEEPER * k / share), self._lists_of(read))
            enough = round(_ENOUGH * max(nprobe, self._lists_of(most)) / self.lists.count * mask.count)
        nearest, lacking = self._nearest(queries, k, min(nprobe, self.lists.count), mask, enough)
        if lacking:
            missing = np.flatnonzero(nearest.rows[:, -1] < 0)
            # The lists that were read hold fewer than k allowed rows.
            rest = self._among_allowed(queries[missing], k, mask, effort)
            nearest.distances[missing], nearest.rows[missing] = rest
        return nearest

    def _nearest(
        self, queries: NDArray[np.float32], k: int, nprobe: int, mask: Mask | None, enough: int = 0
    ) -> tuple[Nearest, int]:
        """From these lists, or more as `Probe` says, and how many queries got fewer than k."""
        candidates = self.codes.candidates(self.lists, self._probe(queries, k, nprobe, mask, enough))
        return rescore_and_count(self.source, queries, candidates, k)

    def _among_allowed(
        self, queries: NDArray[np.float32], k: int, mask: Mask | None, effort: Effort
    ) -> Nearest:
        """All allowed rows are compared: by codes if there are any, the nearest of those in full."""
        probe = self._probe(queries, k, 0, mask, 0)
        compared = self.codes.comparable(probe)
        if compared is None or mask is None:
            return Flat(self.source, "none", None).search(queries, k, mask, effort)
        wanted = min(mask.count, probe.most(k))
        return rescore(self.source, queries, all_allowed(self.lists, probe, mask, compared, wanted), k)

    def _lists_of(self, rows: float) -> int:
        """Lists that hold so many rows on average, at most all."""
        share = min(1.0, rows / len(self.source.vectors))
        return math.ceil(share * self.lists.count)

    def _probe(
        self, queries: NDArray[np.float32], k: int, nprobe: int, mask: Mask | None, enough: int
    ) -> Probe:
        cosine = self.source.metric is Metric.COSINE
        encoded = self.quantiser.encode(queries if cosine else self.space.queries(queries), unit=cosine)
        return Probe(self.space, queries, encoded, k, len(self.source.vectors), nprobe, enough, mask)


def _random_mask(count: int, share: float) -> Mask:
    """Always the same rows: a build that is done again gives the same index."""
    allowed = np.zeros(-(-count // 64) * 64, bool)
    allowed[:count] = np.random.default_rng(5).random(count) < share
    words = np.packbits(allowed, bitorder="little").view(np.uint64)
    return Mask(words, int(allowed.sum()))
