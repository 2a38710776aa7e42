"""Lists searched under a mask: allowed rows alone are compared, those of some lists or all there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hanax.engine.index.lists import Lists
from hanax.engine.index.probes import Compared, Probe
from hanax.engine.index.protocol import Mask
from hanax.engine.kernels import hnsw_masked, ivf_masked
from hanax.engine.kernels.code_tiles import FEWEST_QUERIES, scan_tiles

# Places for each neighbour asked for.
_ROOM = 5
# Nanoseconds, for the choice between ways that differ by more than these are off by.
# A row and its bytes in a tile, and laid out for one; a row's bit looked up.
_TILED, _TILED_BYTE, _LAID_OUT_BYTE, _LOOKED_UP = 0.6, 0.0055, 0.2, 1.0
# A list; a row and its bytes compared where they lie; a row's product code, and tables of a query.
_LIST, _ROW, _ROW_BYTE, _PRODUCT_ROW, _TABLES = 100.0, 16.0, 0.03, 2.0, 3_000.0
# What allowed rows' codes may cost more than product codes: they are more exact, and tell when to read on.
_WORTH_MORE = 20_000.0


def by_rows(lists: Lists, probe: Probe, mask: Mask, compared: Compared, wanted: int) -> NDArray[np.int64]:
    """The nearest allowed rows by codes or vectors, ascending: int64[q, at least wanted], -1 behind them."""
    if _tiles_pay(lists, len(probe.queries), probe.nprobe, mask, compared.stored):
        places = probe.places(wanted)
        _scan_all(lists, probe, mask, compared, places)
        return places
    # Beyond those wanted the kernel gives those alone that codes can't tell from the nearest.
    places = probe.places(max(wanted, _ROOM * probe.k))
    ivf_masked.search_allowed(
        probe.space.l1,
        probe.encoded.codes,
        probe.encoded.constants,
        *lists.centroids,
        *compared,
        lists.starts,
        lists.rows,
        mask.words,
        mask.count,
        probe.k,
        wanted,
        probe.nprobe,
        places,
    )
    return places


def all_allowed(lists: Lists, probe: Probe, mask: Mask, compared: Compared, wanted: int) -> NDArray[np.int64]:
    """As `by_rows`, and every allowed row is compared, whatever list it is in."""
    places = probe.places(wanted)
    if len(places) >= FEWEST_QUERIES and compared.stored.dtype == np.uint8:
        _scan_all(lists, probe, mask, compared, places)
        return places
    rows = np.empty(mask.count, np.int64)
    hnsw_masked.allowed_rows(mask.words, 1, rows)
    hnsw_masked.compare_rows(
        probe.space.l1,
        compared.stored,
        compared.norms,
        compared.queries,
        probe.encoded.constants,
        lists.positions[rows].astype(np.int64),
        np.arange(len(places)),
        places,
    )
    return _rows_at(lists, places)


def products_pay(lists: Lists, probe: Probe, mask: Mask, codes: NDArray[np.uint8]) -> bool:
    """Whether product codes of whole lists, their other rows in vain, are faster than allowed rows' codes."""
    read = len(lists.rows) * probe.nprobe / lists.count
    products = _TABLES + read * _PRODUCT_ROW
    queries = len(probe.queries)
    width = codes.shape[1]
    if queries >= FEWEST_QUERIES and _tiles(len(lists.rows), mask.count, width, queries) < products:
        return False
    return products + _WORTH_MORE < _rows_of_lists(lists, probe.nprobe, mask, width)


def _tiles_pay(lists: Lists, queries: int, nprobe: int, mask: Mask, stored: NDArray[np.generic]) -> bool:
    if queries < FEWEST_QUERIES or stored.dtype != np.uint8:
        return False
    width = stored.shape[1]
    return _tiles(len(lists.rows), mask.count, width, queries) < _rows_of_lists(lists, nprobe, mask, width)


def _tiles(count: int, allowed: int, width: int, queries: int) -> float:
    row = _TILED + width * (_TILED_BYTE + _LAID_OUT_BYTE / queries)
    return allowed * row + count * _LOOKED_UP / queries


def _rows_of_lists(lists: Lists, nprobe: int, mask: Mask, row_bytes: int) -> float:
    return nprobe * (_LIST + mask.count / lists.count * (_ROW + _ROW_BYTE * row_bytes))


def _scan_all(lists: Lists, probe: Probe, mask: Mask, compared: Compared, places: NDArray[np.int64]) -> None:
    positions = np.empty(mask.count + 1, np.int64)
    ivf_masked.allowed_positions(mask.words, lists.rows, positions)
    asked = np.arange(len(places))
    scan_tiles(
        probe.space.l1,
        compared.stored,
        compared.norms,
        compared.queries,
        probe.encoded.constants,
        positions[: mask.count],
        asked,
        places,
    )
    _rows_at(lists, places)


def _rows_at(lists: Lists, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions become rows, in place; -1 stays."""
    found = places >= 0
    places[found] = lists.rows[places[found]]
    return places
