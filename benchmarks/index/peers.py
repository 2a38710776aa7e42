"""The other libraries, several configurations of those that have much to choose; the best one counts.

Graphs have 32 links a node in the bottom layer and were built with 200 candidates, in every library. All run
on one thread and get all queries in one call. Vectors under cosine are of unit length, so the
inner product orders them, and L2 does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.index.contestants import Built, Contestant
from benchmarks.index.datasets import Dataset, K
from hanax.core.distances import Metric

M: Final = 16
EF_CONSTRUCTION: Final = 200
GRAPH_EFFORTS: Final = (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 450, 640, 900)
_LEAVES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 400)
_TRAINING_ROWS: Final = 50_000


class Called:
    """A searcher made of one function that returns row numbers."""

    def __init__(self, search: Callable[[Any], NDArray[Any]]) -> None:
        self.search = search

    def rows(self, answer: NDArray[Any]) -> NDArray[np.int64]:
        return answer.astype(np.int64)

    def close(self) -> None:
        """The process ends soon."""


def _saved(built: Built, folder: Path) -> Built:
    """With the size of what lies in the folder, which is what these libraries hold in memory."""
    built.bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    built.counted = "its saved file, full vectors included"
    return built


def _is_cosine(data: Dataset) -> bool:
    return data.metric is Metric.COSINE


def _graph_ladder(data: Dataset) -> Sequence[Sequence[int]]:
    return [GRAPH_EFFORTS]


def _ladders(counts: Sequence[int]) -> Callable[[Dataset], Sequence[Sequence[tuple[int, int]]]]:
    """Leaves, and how many of what they hold are compared in full; one ladder for each such count."""
    return lambda data: [[(leaves, count) for leaves in _LEAVES] for count in counts]


# --- hnswlib ---------------------------------------------------------------------------------


def _build_hnswlib(data: Dataset, folder: Path) -> Built:
    import hnswlib

    index = hnswlib.Index(space="ip" if _is_cosine(data) else "l2", dim=data.dimension)
    built = Built()
    with built.timed():
        index.init_index(len(data.rows), M=M, ef_construction=EF_CONSTRUCTION, random_seed=1)
        index.add_items(data.rows, num_threads=1)
    index.save_index(str(folder / "index"))
    return _saved(built, folder)


def _open_hnswlib(data: Dataset, folder: Path) -> Called:
    import hnswlib

    index = hnswlib.Index(space="ip" if _is_cosine(data) else "l2", dim=data.dimension)
    index.load_index(str(folder / "index"))

    def search(ef: int) -> NDArray[Any]:
        index.set_ef(ef)
        found: NDArray[Any] = index.knn_query(data.queries, k=K, num_threads=1)[0]
        return found

    return Called(search)


# --- faiss -----------------------------------------------------------------------------------


def _write_faiss(index: Any, data: Dataset, folder: Path) -> Built:
    import faiss

    built = Built()
    with built.timed():
        if not index.is_trained:
            index.train(data.rows[:_TRAINING_ROWS])
        index.add(data.rows)
    faiss.write_index(index, str(folder / "index"))
    return _saved(built, folder)


def _read_faiss(folder: Path) -> Any:
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss.read_index(str(folder / "index"))


def _build_faiss_hnsw(data: Dataset, folder: Path) -> Built:
    import faiss

    faiss.omp_set_num_threads(1)
    metric = faiss.METRIC_INNER_PRODUCT if _is_cosine(data) else faiss.METRIC_L2
    index = faiss.IndexHNSWFlat(data.dimension, M, metric)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    return _write_faiss(index, data, folder)


def _open_faiss_hnsw(data: Dataset, folder: Path) -> Called:
    index = _read_faiss(folder)

    def search(ef: int) -> NDArray[Any]:
        index.hnsw.efSearch = ef
        found: NDArray[Any] = index.search(data.queries, K)[1]
        return found

    return Called(search)


def _build_faiss(description: Callable[[Dataset], str]) -> Callable[[Dataset, Path], Built]:
    def build(data: Dataset, folder: Path) -> Built:
        import faiss

        faiss.omp_set_num_threads(1)
        # L2 also under cosine: between unit vectors it gives the same order.
        index = faiss.index_factory(data.dimension, description(data), faiss.METRIC_L2)
        return _write_faiss(index, data, folder)

    return build


def _open_faiss_lists(data: Dataset, folder: Path) -> Called:
    index: Any = _read_faiss(folder)

    def search(nprobe: int) -> NDArray[Any]:
        index.nprobe = nprobe
        found: NDArray[Any] = index.search(data.queries, K)[1]
        return found

    return Called(search)


def _open_faiss_codes(data: Dataset, folder: Path) -> Called:
    import faiss

    index = _read_faiss(folder)
    lists = faiss.downcast_index(index.base_index)

    def search(effort: tuple[int, int]) -> NDArray[Any]:
        lists.nprobe, index.k_factor = effort
        found: NDArray[Any] = index.search(data.queries, K)[1]
        return found

    return Called(search)


# --- usearch ---------------------------------------------------------------------------------


def _to_bytes(data: Dataset) -> Callable[[NDArray[np.float32]], NDArray[np.int8]]:
    """One scale for all components, which keeps the order of distances. Its own scale suits vectors of
    unit length in few dimensions only: a component of 0.05 would become 6."""
    scale = 127 / np.quantile(np.abs(data.rows[:_TRAINING_ROWS]), 0.9999)
    return lambda vectors: np.clip(np.round(vectors * scale), -127, 127).astype(np.int8)


def _usearch_index(data: Dataset, dtype: str) -> Any:
    from usearch.index import Index

    metric = "cos" if _is_cosine(data) and dtype == "i8" else "ip" if _is_cosine(data) else "l2sq"
    return Index(
        ndim=data.dimension, metric=metric, dtype=dtype, connectivity=M, expansion_add=EF_CONSTRUCTION
    )


def _build_usearch(dtype: str) -> Callable[[Dataset, Path], Built]:
    def build(data: Dataset, folder: Path) -> Built:
        index = _usearch_index(data, dtype)
        rows = _to_bytes(data)(data.rows) if dtype == "i8" else data.rows
        built = Built()
        with built.timed():
            index.add(np.arange(len(rows)), rows, threads=1)
        index.save(str(folder / "index"))
        return _saved(built, folder)

    return build


def _open_usearch(dtype: str) -> Callable[[Dataset, Path], Called]:
    def open_(data: Dataset, folder: Path) -> Called:
        index = _usearch_index(data, dtype)
        index.load(str(folder / "index"))
        queries = _to_bytes(data)(data.queries) if dtype == "i8" else data.queries

        def search(ef: int) -> NDArray[Any]:
            index.expansion_search = ef
            found: NDArray[Any] = index.search(queries, K, threads=1).keys
            return found

        return Called(search)

    return open_


# --- scann -----------------------------------------------------------------------------------


def _build_scann(leaves: int, data: Dataset, folder: Path) -> Built:
    import scann

    measure = "dot_product" if _is_cosine(data) else "squared_l2"
    builder = scann.scann_ops_pybind.builder(data.rows, K, measure)
    builder = builder.tree(leaves, num_leaves_to_search=20, training_sample_size=_TRAINING_ROWS)
    builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100)
    builder.set_n_training_threads(1)
    built = Built()
    with built.timed():
        searcher = builder.build()
    searcher.serialize(str(folder))
    return _saved(built, folder)


def _open_scann(data: Dataset, folder: Path) -> Called:
    import scann

    searcher = scann.scann_ops_pybind.load_searcher(str(folder))

    def search(effort: tuple[int, int]) -> NDArray[Any]:
        leaves, reordered = effort
        found: NDArray[Any] = searcher.search_batched(
            data.queries,
            final_num_neighbors=K,
            pre_reorder_num_neighbors=reordered,
            leaves_to_search=leaves,
        )[0]
        return found

    return Called(search)


def _codes(lists: int, part: int) -> Contestant:
    """faiss: lists of 4-bit codes of `part` dimensions, the best of them compared in full."""
    return Contestant(
        f"faiss IVF{lists},PQ/{part}x4fs,RFlat",
        "faiss",
        _ladders((4, 10, 30)),
        _build_faiss(lambda data: f"IVF{lists},PQ{data.dimension // part}x4fs,RFlat"),
        _open_faiss_codes,
    )


def _scann(leaves: int) -> Contestant:
    """A tree of one level over codes, the best of them compared in full."""
    return Contestant(
        f"scann {leaves}",
        "scann",
        _ladders((20, 30, 60, 100, 300)),
        partial(_build_scann, leaves),
        _open_scann,
    )


CONTESTANTS: Final = (
    Contestant("hnswlib", "hnswlib", _graph_ladder, _build_hnswlib, _open_hnswlib),
    Contestant("faiss HNSWFlat", "faiss", _graph_ladder, _build_faiss_hnsw, _open_faiss_hnsw),
    Contestant(
        "faiss IVF512,Flat",
        "faiss",
        lambda data: [_LEAVES],
        _build_faiss(lambda data: "IVF512,Flat"),
        _open_faiss_lists,
    ),
    _codes(512, 2),
    _codes(512, 4),
    _codes(1024, 4),
    Contestant("usearch f32", "usearch", _graph_ladder, _build_usearch("f32"), _open_usearch("f32")),
    Contestant("usearch i8", "usearch", _graph_ladder, _build_usearch("i8"), _open_usearch("i8")),
    _scann(400),
)
