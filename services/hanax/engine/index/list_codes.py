"""What the lists of an IVF index hold, in the order of positions, and how candidates are found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.index_specs import ProductQuantisation, Quantisation
from hanax.engine.index.keeping import MOST_KEPT, Kept
from hanax.engine.index.list_masks import by_rows, products_pay
from hanax.engine.index.lists import Lists, Trained, in_runs
from hanax.engine.index.probes import Compared, Probe
from hanax.engine.index.product import ProductQuantiser
from hanax.engine.index.protocol import Arrays, Source, Work
from hanax.engine.index.space import Space
from hanax.engine.kernels import ivf as kernel
from hanax.engine.kernels import product as product_kernel
from hanax.engine.kernels.fast_scan import BLOCK

# So many times the candidates by product codes are kept under a mask: they tell far rows hardly apart.
_MORE_UNDER_MASKS = 3
_NO_CODES = np.empty((0, 0), np.uint8)
_NO_NORMS = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class ProductLists:
    """4-bit codes in blocks of 32: uint8[blocks, groups, 64]; int8 codes, which may be without rows."""

    quantiser: ProductQuantiser
    block_starts: NDArray[np.int64]
    blocks: NDArray[np.uint8]
    codes: NDArray[np.uint8]
    norms: NDArray[np.int32]
    kept: Kept

    @property
    def arrays(self) -> Arrays:
        return {
            "books": self.quantiser.books,
            "block_starts": self.block_starts,
            "blocks": self.blocks,
            "codes": self.codes,
            "norms": self.norms,
        }

    @property
    def parameters(self) -> dict[str, Any]:
        return {"holds": "product4", "kept": list(self.kept)}

    def comparable(self, probe: Probe) -> Compared | None:
        """What rows may be compared by one at a time, nearly as well as in full."""
        return Compared(probe.encoded.codes, self.codes, self.norms) if len(self.codes) else None

    def candidates(self, lists: Lists, probe: Probe) -> NDArray[np.int64]:
        """Rows worth comparing in full, ascending: int64[q, c], -1 after the last."""
        mask = probe.mask
        if mask is not None and len(self.codes) and not products_pay(lists, probe, mask, self.codes):
            compared = Compared(probe.encoded.codes, self.codes, self.norms)
            return by_rows(lists, probe, mask, compared, probe.most(self.kept.scalar_at(probe.k)))
        kept = self.kept.product_at(probe.k, probe.nprobe) * (1 if mask is None else _MORE_UNDER_MASKS)
        places = probe.places(probe.most(self.kept.scalar_at(probe.k)) if len(self.codes) else kept)
        kernel.search_product(
            probe.space.l1,
            probe.encoded.codes,
            probe.encoded.constants,
            *lists.centroids,
            lists.starts,
            self.block_starts,
            self.blocks,
            self.quantiser.books,
            self.codes,
            self.norms,
            lists.rows,
            *probe.masking,
            probe.nprobe,
            probe.share,
            probe.enough,
            kept,
            places,
        )
        return places


@dataclass(frozen=True, slots=True)
class ByteLists:
    """8-bit product codes: uint8[n, parts]."""

    quantiser: ProductQuantiser
    codes: NDArray[np.uint8]
    kept: Kept

    @property
    def arrays(self) -> Arrays:
        return {"books": self.quantiser.books, "codes": self.codes}

    @property
    def parameters(self) -> dict[str, Any]:
        return {"holds": "product8", "kept": list(self.kept)}

    def comparable(self, probe: Probe) -> Compared | None:
        return None

    def candidates(self, lists: Lists, probe: Probe) -> NDArray[np.int64]:
        places = probe.places(self.kept.product_at(probe.k, probe.nprobe))
        kernel.search_bytes(
            probe.space.l1,
            probe.encoded.codes,
            probe.encoded.constants,
            *lists.centroids,
            lists.starts,
            self.quantiser.books,
            self.codes,
            lists.rows,
            *probe.masking,
            probe.nprobe,
            places,
        )
        return places


@dataclass(frozen=True, slots=True)
class PlainLists:
    """int8 codes, uint8[n, padded] with norms; or vectors, float32[n, padded] in the space."""

    stored: NDArray[np.uint8] | NDArray[np.float32]
    norms: NDArray[np.int32]
    kept: Kept

    @property
    def arrays(self) -> Arrays:
        return {"stored": self.stored, "norms": self.norms}

    @property
    def parameters(self) -> dict[str, Any]:
        return {"holds": "plain", "kept": list(self.kept)}

    def comparable(self, probe: Probe) -> Compared:
        coded = self.stored.dtype == np.uint8
        queries = probe.encoded.codes if coded else padded(probe.space.queries(probe.queries))
        return Compared(queries, self.stored, self.norms)

    def candidates(self, lists: Lists, probe: Probe) -> NDArray[np.int64]:
        compared = self.comparable(probe)
        wanted = probe.most(self.kept.scalar_at(probe.k)) if self.stored.dtype == np.uint8 else probe.k
        if probe.mask is not None:
            return by_rows(lists, probe, probe.mask, compared, wanted)
        places = probe.places(wanted)
        kernel.search_lists(
            probe.space.l1,
            probe.encoded.codes,
            probe.encoded.constants,
            *lists.centroids,
            *compared,
            lists.starts,
            lists.rows,
            probe.nprobe,
            places,
        )
        return places


ListCodes = ProductLists | ByteLists | PlainLists


def padded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[n, w] to a width of a multiple of 16, with zeros."""
    width = vectors.shape[1]
    if width % 16 == 0:
        return np.ascontiguousarray(vectors)
    return np.pad(vectors, ((0, 0), (0, -width % 16)))


def build_codes(
    quantisation: Quantisation, space: Space, source: Source, trained: Trained, lists: Lists, work: Work
) -> ListCodes:
    """Encode every row in the order of positions. Raises Cancelled."""
    count = len(source.vectors)
    width = trained.quantiser.code_bytes

    def rows_at(run: slice) -> NDArray[np.float32]:
        return space.rows(source, lists.rows[run].astype(np.int64))

    if quantisation.type == "none":
        vectors = work.allocate("stored", np.float32, (count, -(-space.width // 16) * 16))

        def copy(run: slice) -> None:
            vectors[run, : space.width] = rows_at(run)

        in_runs(count, copy, work)
        return PlainLists(vectors, _NO_NORMS, MOST_KEPT)
    if not isinstance(quantisation, ProductQuantisation):
        stored = work.allocate("stored", np.uint8, (count, width))
        norms = work.allocate("norms", np.int32, (count,))

        def encode(run: slice) -> None:
            encoded = trained.quantiser.encode(rows_at(run))
            stored[run], norms[run] = encoded.codes, encoded.norms

        in_runs(count, encode, work)
        return PlainLists(stored, norms, MOST_KEPT)
    product = ProductQuantiser.fit(quantisation, space.width, trained.sample.codes)
    if quantisation.bits == 8:
        bytes_ = work.allocate("codes", np.uint8, (count, product.parts))

        def encode_bytes(run: slice) -> None:
            bytes_[run] = product.encode(trained.quantiser.encode(rows_at(run)).codes)

        in_runs(count, encode_bytes, work)
        return ByteLists(product, bytes_, MOST_KEPT)
    return _product_lists(product, quantisation.refine, rows_at, trained, lists, work)


def _product_lists(
    product: ProductQuantiser, refine: bool, rows_at: Any, trained: Trained, lists: Lists, work: Work
) -> ProductLists:
    count = len(lists.rows)
    sizes = np.diff(lists.starts)
    block_starts = np.zeros(lists.count + 1, np.int64)
    np.cumsum(-(-sizes // BLOCK), out=block_starts[1:])
    groups = -(-product.parts // 4)
    blocks = work.allocate("blocks", np.uint8, (int(block_starts[-1]), groups, 64))
    kept = count if refine else 0
    codes = work.allocate("codes", np.uint8, (kept, trained.quantiser.code_bytes)) if refine else _NO_CODES
    norms = work.allocate("norms", np.int32, (kept,)) if refine else _NO_NORMS

    def encode(run: slice) -> None:
        encoded = trained.quantiser.encode(rows_at(run))
        if refine:
            codes[run], norms[run] = encoded.codes, encoded.norms
        parts = product.encode(encoded.codes)
        first = int(np.searchsorted(lists.starts, run.start, side="right")) - 1
        position = run.start
        while position < run.stop:
            # A list's run of vectors begins in the middle of a block when the list began in an earlier run.
            end = min(run.stop, int(lists.starts[first + 1]))
            if end > position:
                offset = position - int(lists.starts[first])
                product_kernel.fill_blocks(
                    parts[position - run.start : end - run.start],
                    offset,
                    blocks[int(block_starts[first]) : int(block_starts[first + 1])],
                )
            position, first = end, first + 1

    in_runs(count, encode, work)
    return ProductLists(product, block_starts, blocks, codes, norms, MOST_KEPT)


def load_codes(arrays: Arrays, parameters: dict[str, Any]) -> ListCodes:
    kept = Kept(*parameters["kept"])
    if parameters["holds"] == "plain":
        return PlainLists(arrays["stored"], arrays["norms"], kept)
    quantiser = ProductQuantiser(arrays["books"])
    if parameters["holds"] == "product8":
        return ByteLists(quantiser, arrays["codes"], kept)
    block_starts, blocks, codes, norms = (arrays[n] for n in ("block_starts", "blocks", "codes", "norms"))
    return ProductLists(quantiser, block_starts, blocks, codes, norms, kept)
