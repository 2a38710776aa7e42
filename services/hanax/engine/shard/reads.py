"""Reads of a shard beyond search, get, scroll and count. Each looks at one picture and takes no lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from hanax.core.field_values import Path
from hanax.core.filters import Filter, Scalar
from hanax.core.index_specs import SearchParameters
from hanax.core.specs import DEFAULT_VECTOR
from hanax.engine.points import METADATA_ONLY, Hits, Points, Projection
from hanax.engine.query import facets, grouping, ordering, recommending
from hanax.engine.query.facets import Facet
from hanax.engine.query.grouping import Group
from hanax.engine.query.ordering import Order
from hanax.engine.query.reading import read_points
from hanax.engine.query.recommending import Examples, Recommendation
from hanax.engine.query.searching import Search
from hanax.engine.schema import Schema
from hanax.engine.segment.view import View

# The effort that was measured to hold the collection's recall.
_MEASURED: Final = SearchParameters()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the points is searched and read."""

    limit: int
    expression: Filter | None = None
    max_distance: float | None = None
    projection: Projection = METADATA_ONLY
    vector_name: str = DEFAULT_VECTOR
    parameters: SearchParameters = _MEASURED


class Reads:
    """view: the shard's current picture, checked to be one that a filter can be asked of."""

    def __init__(self, schema: Schema, view: Callable[[Filter | None], View]) -> None:
        self._schema = schema
        self._view = view

    def facet(self, path: Path, expression: Filter | None = None) -> Facet:
        """All values of a field with their counts. Raises InvalidArgument for more than can be told."""
        return facets.count_values(self._view(expression), path, expression)

    def distinct(
        self, path: Path, after: tuple[Scalar] | None, limit: int, expression: Filter | None = None
    ) -> tuple[list[bytes], bool]:
        """The next values of a field, as JSON, in order; whether more follow."""
        return facets.distinct_values(self._view(expression), path, expression, after, limit)

    def scroll_by(
        self,
        order: Order,
        limit: int,
        expression: Filter | None = None,
        projection: Projection = METADATA_ONLY,
    ) -> tuple[Points, list[bytes], bool]:
        """The next points in the order of a field, the JSON of their keys, and whether more follow."""
        view = self._view(expression)
        page = ordering.scroll_by(view, order, limit, expression)
        dimension = self._schema.field(DEFAULT_VECTOR).dimension
        return read_points(view, page.places, projection, dimension), page.keys, page.has_more

    def recommend(self, positives: NDArray[Any], negatives: NDArray[Any], wanted: Wanted) -> Hits:
        """The points with the best scores (hanax.engine.query.recommending) against examples.

        positives, negatives: float32[m, dimension], together at least one row.
        """
        field = self._schema.field(wanted.vector_name)
        examples = Examples(
            field.check(positives, "positive example"), field.check(negatives, "negative example")
        )
        asked = Recommendation(
            wanted.vector_name,
            field,
            wanted.limit,
            wanted.expression,
            wanted.max_distance,
            wanted.projection,
        )
        return recommending.recommend(self._view(wanted.expression), examples, asked)

    def search_groups(self, query: NDArray[Any], path: Path, groups: int, wanted: Wanted) -> list[Group]:
        """The nearest groups by a field, `wanted.limit` points of each. query: float32[1, dimension]."""
        asked = self._search(wanted)
        checked = asked.field.check(query, "query")
        return grouping.search_groups(self._view(wanted.expression), checked, path, groups, asked)

    def search_values(
        self, query: NDArray[Any], path: Path, values: Sequence[bytes], wanted: Wanted
    ) -> list[Group]:
        """The groups of these values alone. Raises InvalidArgument for what is no JSON scalar."""
        asked = self._search(wanted)
        checked = asked.field.check(query, "query")
        return grouping.search_values(self._view(wanted.expression), checked, path, values, asked)

    def _search(self, wanted: Wanted) -> Search:
        return Search(
            wanted.vector_name,
            self._schema.field(wanted.vector_name),
            wanted.limit,
            wanted.expression,
            wanted.max_distance,
            wanted.projection,
            wanted.parameters,
        )
