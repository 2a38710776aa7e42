"""Conditions on metadata, written as Python expressions.

    (Field("year") >= 2020) & ~(Field("author") == "Ann") | Field("tags").contains("new")

`&`, `|` and `~` join them; a comparison needs its own parentheses, as `&` binds tighter. What comes out is
the JSON that the server takes, and that may be given as it is wherever a filter is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from hxp_vector_client.errors import InvalidFilter

Scalar = str | int | float | bool | None


class Condition:
    """One condition, or several that are joined. `to_json()` is what goes to the server."""

    __slots__ = ("_json",)

    def __init__(self, json: dict[str, Any]) -> None:
        self._json = json

    def to_json(self) -> dict[str, Any]:
        return self._json

    def __and__(self, other: Condition) -> Condition:
        return _join("and", self, other)

    def __or__(self, other: Condition) -> Condition:
        return _join("or", self, other)

    def __invert__(self) -> Condition:
        return Condition({"not": self._json})

    def __bool__(self) -> bool:
        raise TypeError("a condition is neither true nor false; join conditions with & | ~, not and, or, not")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self._json == other._json

    def __hash__(self) -> int:
        return hash(repr(self._json))

    def __repr__(self) -> str:
        return f"Condition({self._json!r})"


# A filter as it is given: a condition, or the server's JSON.
FilterLike = Condition | Mapping[str, Any] | Sequence[Any]


class Field:
    """A metadata field; inside objects, names joined by dots. Its comparisons are conditions.

    What each means for missing fields, nulls and arrays is told in docs/filters.md.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, other: Scalar) -> Condition:  # type: ignore[override]
        return self._is("eq", other)

    def __ne__(self, other: Scalar) -> Condition:  # type: ignore[override]
        return self._is("ne", other)

    def __gt__(self, other: str | float) -> Condition:
        return self._is("gt", other)

    def __ge__(self, other: str | float) -> Condition:
        return self._is("gte", other)

    def __lt__(self, other: str | float) -> Condition:
        return self._is("lt", other)

    def __le__(self, other: str | float) -> Condition:
        return self._is("lte", other)

    # An object that compares as this one does can be no key.
    __hash__ = None  # type: ignore[assignment]

    def is_in(self, values: Iterable[Scalar]) -> Condition:
        return self._is("in", list(values))

    def not_in(self, values: Iterable[Scalar]) -> Condition:
        return self._is("not_in", list(values))

    def contains(self, value: Scalar) -> Condition:
        """An element of an array, or a part of a text."""
        return self._is("contains", value)

    def starts_with(self, text: str) -> Condition:
        return self._is("starts_with", text)

    def ends_with(self, text: str) -> Condition:
        return self._is("ends_with", text)

    def exists(self, there: bool = True) -> Condition:
        return self._is("exists", there)

    def is_null(self, null: bool = True) -> Condition:
        return self._is("is_null", null)

    def is_empty(self, empty: bool = True) -> Condition:
        """Missing, null, or without content."""
        return self._is("is_empty", empty)

    def values_count(
        self,
        *,
        gt: float | None = None,
        gte: float | None = None,
        lt: float | None = None,
        lte: float | None = None,
    ) -> Condition:
        bounds = {"gt": gt, "gte": gte, "lt": lt, "lte": lte}
        return self._is("values_count", {name: bound for name, bound in bounds.items() if bound is not None})

    def text(self, words: str) -> Condition:
        """All of these words, in any order; the field has to be pinned as text."""
        return self._is("text", words)

    def phrase(self, words: str) -> Condition:
        """These words one after the other; the field has to be pinned as text."""
        return self._is("phrase", words)

    def within(self, centre: tuple[float, float], metres: float) -> Condition:
        """A place so near to (latitude, longitude), in degrees, or nearer."""
        return self._is("geo_radius", {"center": _place(centre), "metres": metres})

    def in_box(self, *, top: float, left: float, bottom: float, right: float) -> Condition:
        """A place between two latitudes and two longitudes; left above right crosses the date line."""
        return self._is("geo_box", {"top": top, "left": left, "bottom": bottom, "right": right})

    def in_polygon(
        self,
        exterior: Iterable[tuple[float, float]],
        interiors: Iterable[Iterable[tuple[float, float]]] = (),
    ) -> Condition:
        """A place inside the exterior and in no interior: rings of (latitude, longitude)."""
        rings = [[_place(one) for one in ring] for ring in interiors]
        outer = [_place(one) for one in exterior]
        return self._is("geo_polygon", {"exterior": outer} | ({"interiors": rings} if rings else {}))

    def _is(self, operator: str, value: object) -> Condition:
        return Condition({"field": self._name, "operator": operator, "value": value})


def has_id(ids: Iterable[int | str | UUID]) -> Condition:
    """The points with these ids."""
    return Condition({"has_id": [str(one) if isinstance(one, UUID) else one for one in ids]})


def at_least(count: int, conditions: Iterable[FilterLike]) -> Condition:
    """As many of the conditions hold, or more."""
    held = [filter_json(one) for one in conditions]
    return Condition({"min_should": {"conditions": held, "count": count}})


def filter_json(given: FilterLike | None) -> Any:
    """What goes to the server. Raises InvalidFilter for what is no filter at all."""
    if given is None:
        return None
    if isinstance(given, Condition):
        return given.to_json()
    if isinstance(given, Mapping):
        return given
    if isinstance(given, list | tuple):
        return [filter_json(one) for one in given]
    raise InvalidFilter(f"expected a condition, an object or a list of them, got {type(given).__name__}")


def _join(word: str, first: Condition, second: object) -> Condition:
    """One flat list for a & b & c: filters have few levels."""
    if not isinstance(second, Condition):
        raise TypeError(f"expected a condition, got {type(second).__name__}; mind the parentheses")
    parts: list[dict[str, Any]] = []
    for condition in (first, second):
        json = condition.to_json()
        parts += json[word] if set(json) == {word} else [json]
    return Condition({word: parts})


def _place(at: tuple[float, float]) -> dict[str, float]:
    return {"lat": at[0], "lon": at[1]}
