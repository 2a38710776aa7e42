"""IVF: lists of vectors around centroids, of which a search reads the nearest.

After Jégou, Douze & Schmid, "Product Quantization for Nearest Neighbor Search", TPAMI 2011. What a list holds
is the quantisation's matter: 4-bit product codes with int8 codes beside, 8-bit product codes, int8
codes, or vectors. A search costs O((lists + nprobe n / lists) d); a build O(n lists d) small operations.
Full vectors are read from the segment for the last few candidates alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.index_specs import IvfIndex, Quantisation
from hanax.engine.index.flat import Flat
from hanax.engine.index.list_codes import Kept, ListCodes, Probe, build_codes, load_codes
from hanax.engine.index.lists import Lists, deal_out, default_lists, train
from hanax.engine.index.protocol import Arrays, Effort, Mask, Nearest, Source, Work
from hanax.engine.index.rescoring import rescore
from hanax.engine.index.scalar import ScalarQuantiser
from hanax.engine.index.space import Space

# So few allowed rows are compared in full: lists would mostly be read in vain.
_FEW_ALLOWED = 256
# How many candidates codes have to keep is learnt from so many rows, asked for as queries.
_LEARNING_QUERIES = 128
_PRODUCT_KEPT = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
_SCALAR_KEPT = (0.9, 1.1, 1.5, 2.0, 3.0, 4.5)
_LOSS = 0.003


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
        """As few candidates kept from stage to stage as lose next to no neighbour of some rows."""
        count = len(self.source.vectors)
        rows = np.random.default_rng(5).choice(count, min(count, _LEARNING_QUERIES), replace=False)
        queries = self.source.vectors[np.sort(rows)]
        k, nprobe = min(10, count), -(-self.lists.count // 4)

        def keeping(kept: Kept) -> Ivf:
            return replace(self, codes=replace(self.codes, kept=kept))

        def fewest(
            ladder: tuple[float, ...], more: float, kept_with: Callable[[float], Kept], most: Kept
        ) -> Kept:
            best = keeping(most)._nearest(queries, k, nprobe, None).rows
            for factor in ladder:
                found = keeping(kept_with(factor))._nearest(queries, k, nprobe, None).rows
                if (found[:, :, None] == best[:, None, :]).any(axis=2).mean() >= 1.0 - _LOSS:
                    # Queries are farther from their neighbours than rows: those are harder to tell apart.
                    return kept_with(factor + more)
            return most

        kept = self.codes.kept
        kept = fewest(_SCALAR_KEPT, 0.2, lambda factor: kept._replace(scalar=factor), kept)
        return keeping(fewest(_PRODUCT_KEPT, 1.5, lambda factor: kept._replace(product=factor), kept))

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
        share = 1.0
        if mask is not None:
            if mask.count <= max(_FEW_ALLOWED, 2 * k):
                return Flat(self.source, "none", None).search(queries, k, mask, effort)
            share = mask.count / count
        # The k nearest of a share of the rows are among the k / share nearest of all.
        nprobe = min(self.lists.count, max(effort.at(k / share), -(-2 * k * self.lists.count // count)))
        nearest = self._nearest(queries, k, nprobe, mask)
        missing = np.flatnonzero(nearest.rows[:, -1] < 0)
        if len(missing):
            # The lists that were read hold fewer than k allowed rows.
            rest = Flat(self.source, "none", None).search(queries[missing], k, mask, effort)
            nearest.distances[missing], nearest.rows[missing] = rest
        return nearest

    def _nearest(self, queries: NDArray[np.float32], k: int, nprobe: int, mask: Mask | None) -> Nearest:
        cosine = self.source.metric is Metric.COSINE
        encoded = self.quantiser.encode(queries if cosine else self.space.queries(queries), unit=cosine)
        candidates = self.codes.candidates(self.lists, Probe(self.space, queries, encoded, k, nprobe, mask))
        return rescore(self.source, queries, candidates, k)
