"""IVF: lists of vectors around centroids, of which a search reads the nearest.

After Jégou, Douze & Schmid, "Product Quantization for Nearest Neighbor Search", TPAMI 2011. What a list holds
is the quantisation's matter: 4-bit product codes with int8 codes beside, 8-bit product codes, int8
codes, or vectors. A search costs O((lists + nprobe n / lists) d); a build O(n lists d) small operations.
Full vectors are read from the segment for the last few candidates alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.index_specs import IvfIndex, Quantisation
from hanax.engine.index.flat import Flat
from hanax.engine.index.keeping import Kept, learn
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
# Allowed rows that the lists hold on average, for each neighbour asked for, over the share of the allowed
# rows, or this one if that is less: where a cluster has too few of them, neighbours are in lists in no order.
_LEAST_ALLOWED = 7
_LEAST_SHARE = 0.05
# Part of the allowed rows that as many lists hold on average, which a query has to have met.
_ENOUGH = 0.8
# Rows that are asked for to learn how many candidates codes have to keep.
_LEARNING_QUERIES = 128


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

        return self._keeping(learn(ask, (*(n for n in self.efforts if n < most), most)))

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
        among, least = float(k), 2 * k
        if mask is not None:
            if mask.count <= max(_FEW_ALLOWED, 2 * k, count * _SMALL_SHARE):
                return self._among_allowed(queries, k, mask, effort)
            # The k nearest of a share of the rows are among the k / share nearest of all.
            share = mask.count / count
            among = _DEEPER * k / share
            least = round(_LEAST_ALLOWED * k / share / max(share, _LEAST_SHARE))
        nprobe = min(self.lists.count, max(effort.at(among), -(-least * self.lists.count // count)))
        nearest, lacking = self._nearest(queries, k, nprobe, mask)
        if lacking:
            missing = np.flatnonzero(nearest.rows[:, -1] < 0)
            # The lists that were read hold fewer than k allowed rows.
            rest = self._among_allowed(queries[missing], k, mask, effort)
            nearest.distances[missing], nearest.rows[missing] = rest
        return nearest

    def _nearest(
        self, queries: NDArray[np.float32], k: int, nprobe: int, mask: Mask | None
    ) -> tuple[Nearest, int]:
        """From these lists alone, and how many queries got fewer than k."""
        candidates = self.codes.candidates(self.lists, self._probe(queries, k, nprobe, mask))
        return rescore_and_count(self.source, queries, candidates, k)

    def _among_allowed(
        self, queries: NDArray[np.float32], k: int, mask: Mask | None, effort: Effort
    ) -> Nearest:
        """All allowed rows are compared: by codes if there are any, the nearest of those in full."""
        probe = self._probe(queries, k, 0, mask)
        compared = self.codes.comparable(probe)
        if compared is None or mask is None:
            return Flat(self.source, "none", None).search(queries, k, mask, effort)
        wanted = min(mask.count, probe.most(k))
        return rescore(self.source, queries, all_allowed(self.lists, probe, mask, compared, wanted), k)

    def _probe(self, queries: NDArray[np.float32], k: int, nprobe: int, mask: Mask | None) -> Probe:
        cosine = self.source.metric is Metric.COSINE
        encoded = self.quantiser.encode(queries if cosine else self.space.queries(queries), unit=cosine)
        enough = 0
        if mask is not None:
            # What as many lists hold on average.
            enough = round(_ENOUGH * nprobe / self.lists.count * mask.count)
        return Probe(self.space, queries, encoded, k, nprobe, enough, mask)
