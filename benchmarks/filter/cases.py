"""What is asked: points with metadata, and filters of four kinds that match a given share of them.

keyword and range know nothing of the vectors. The other two go with the vectors' clusters: `own region`
matches only a cluster that the query lies in, and `other regions` all but that, narrowed to the share.
A filter is an expression of ours, which each contestant translates; what it matches is told by numpy here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.filter.regions import regions_of
from benchmarks.index.datasets import Dataset, K, load, squared_distances
from hanax.core.filters import And, Condition, Operator

SHARES: Final = (0.5, 0.1, 0.01, 0.001)
KINDS: Final = ("keyword", "range", "own region", "other regions")
# Beside them, by a range: fewer points than an answer holds.
FEW: Final = 5
KEYWORD_FIELDS: Final = ("label", "half", "tenth", "hundredth", "thousandth")
INTEGER_FIELD: Final = "number"
_REGION_FIELDS: Final = KEYWORD_FIELDS[1:]
# Labels that so large a share of the points has, for each share.
_LABELS: Final = {0.5: 1, 0.1: 3, 0.01: 10, 0.001: 40}
_SEED: Final = 8
_QUERIES: Final = 200
_QUICK_QUERIES: Final = 60
# As in benchmarks.index.datasets: distances are summed in another order in every library.
_TIE: Final = 1e-5

Expression = Condition | And


@dataclass(frozen=True)
class Points:
    """The rows of a data set with fields. columns: by field, object[n] or int64[n]."""

    data: Dataset
    columns: dict[str, NDArray[Any]]
    metadata: list[dict[str, Any]]
    query_regions: dict[str, list[str]]

    @property
    def encoded(self) -> list[bytes]:
        return [orjson.dumps(fields) for fields in self.metadata]


@dataclass(frozen=True)
class Case:
    """One filter for each query. farthest: float64[q], the squared distance of the last true answer;
    matches: int64[q]."""

    kind: str
    share: float
    filters: list[Expression]
    allowed: list[NDArray[np.bool_]]
    farthest: NDArray[np.float64]
    matches: NDArray[np.int64]

    @property
    def is_few(self) -> bool:
        return self.share not in SHARES

    def hits(self, points: Points, number: int, found: list[int]) -> float:
        """The share of query `number`'s true answers that are in `found`. A row that does not match, or is
        there twice, is no answer."""
        rows = np.unique(np.asarray(found, np.int64))
        rows = rows[self.allowed[number][rows]]
        query = points.data.queries[number : number + 1]
        near = squared_distances(points.data.rows, query, rows[np.newaxis])[0]
        hits = np.count_nonzero(near <= self.farthest[number] * (1 + _TIE) + 1e-9)
        wanted = self.wanted(number)
        return min(int(hits), wanted) / wanted

    def wanted(self, number: int) -> int:
        return min(K, int(self.matches[number]))


def points_of(quick: bool) -> Points:
    data = load("b", quick)
    count, random = len(data.rows), np.random.default_rng(_SEED)
    of_rows, of_queries = regions_of(data)
    columns: dict[str, NDArray[Any]] = {"label": _labels(count, random)}
    for field, regions in zip(_REGION_FIELDS, of_rows, strict=True):
        columns[field] = np.array([_region_name(field, region) for region in regions.tolist()], object)
    columns[INTEGER_FIELD] = random.permutation(count)
    listed = {field: column.tolist() for field, column in columns.items()}
    metadata = [
        {"title": f"document {row}", **{field: values[row] for field, values in listed.items()}}
        for row in range(count)
    ]
    asked = {
        field: [_region_name(field, region) for region in regions.tolist()]
        for field, regions in zip(_REGION_FIELDS, of_queries, strict=True)
    }
    return Points(data, columns, metadata, asked)


def cases_of(points: Points, quick: bool) -> Iterator[Case]:
    """Every kind at every share, and a range that matches few; one at a time, as each holds its masks."""
    count = len(points.data.rows)
    queries = points.data.queries[: _QUICK_QUERIES if quick else _QUERIES]
    # One product for all cases: smaller is nearer, as the lengths of rows are equal to float32.
    rough = -(queries @ points.data.rows.T)
    asked = [(kind, share) for kind in KINDS for share in SHARES] + [("range", FEW / count)]
    for kind, share in asked:
        yield _case(points, rough, kind, share)


def _case(points: Points, rough: NDArray[np.float32], kind: str, share: float) -> Case:
    random = np.random.default_rng(_SEED)
    make = _MAKERS[kind]
    filters, allowed = [], []
    farthest, matches = np.empty(len(rough), np.float64), np.empty(len(rough), np.int64)
    for number, distances in enumerate(rough):
        expression, matching = make(points, number, share, random)
        rows = np.flatnonzero(matching)
        nearest = rows[np.argsort(distances[rows])[: 3 * K]]
        query = points.data.queries[number : number + 1]
        exact = np.sort(squared_distances(points.data.rows, query, nearest[np.newaxis])[0])
        filters.append(expression)
        allowed.append(matching)
        farthest[number] = exact[:K][-1]
        matches[number] = len(rows)
    return Case(kind, share, filters, allowed, farthest, matches)


# --- filters ---------------------------------------------------------------------------------

_Made = tuple[Expression, NDArray[np.bool_]]


def _keyword(points: Points, number: int, share: float, random: np.random.Generator) -> _Made:
    label = f"{_label_stem(share)}{number % _LABELS[share]}"
    return Condition(("label",), Operator.EQ, label), points.columns["label"] == label


def _range(points: Points, number: int, share: float, random: np.random.Generator) -> _Made:
    numbers = points.columns[INTEGER_FIELD]
    width = round(share * len(numbers))
    low = int(random.integers(0, len(numbers) - width + 1))
    bounds = (
        Condition((INTEGER_FIELD,), Operator.GTE, low),
        Condition((INTEGER_FIELD,), Operator.LT, low + width),
    )
    return And(bounds), (numbers >= low) & (numbers < low + width)


def _own_region(points: Points, number: int, share: float, random: np.random.Generator) -> _Made:
    field = _REGION_FIELDS[SHARES.index(share)]
    region = points.query_regions[field][number]
    return Condition((field,), Operator.EQ, region), points.columns[field] == region


def _other_regions(points: Points, number: int, share: float, random: np.random.Generator) -> _Made:
    """The other half, and of that a range of numbers."""
    own = points.query_regions["half"][number]
    elsewhere = Condition(("half",), Operator.NE, own)
    outside = points.columns["half"] != own
    if share == SHARES[0]:
        return elsewhere, outside
    narrowed, matching = _range(points, number, 2 * share, random)
    assert isinstance(narrowed, And)
    return And((elsewhere, *narrowed.children)), outside & matching


_Maker = Callable[[Points, int, float, np.random.Generator], _Made]
_MAKERS: Final[dict[str, _Maker]] = {
    "keyword": _keyword,
    "range": _range,
    "own region": _own_region,
    "other regions": _other_regions,
}


def _labels(count: int, random: np.random.Generator) -> NDArray[Any]:
    names = np.full(count, "rest", object)
    places, first = random.permutation(count), 0
    for share, labels in _LABELS.items():
        for label in range(labels):
            size = round(share * count)
            names[places[first : first + size]] = f"{_label_stem(share)}{label}"
            first += size
    return names


def _label_stem(share: float) -> str:
    return f"share-{share:g}-"


def _region_name(field: str, region: int) -> str:
    return f"{field}-{region}"
