"""Random metadata and expressions of every operator, drawn from one seed by plain random numbers.

A world has few names and few values of each type, so that conditions meet documents; its fields differ
in what they mostly hold, so that columns of one type, mixed ones and arrays all come up.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

from hanax.core.filters import (
    And,
    Condition,
    Filter,
    GeoBox,
    GeoPolygon,
    GeoRadius,
    MinShould,
    Not,
    Operator,
    Or,
    Range,
)

TEXTS = ["", "a", "ab", "b", "B", "ba", "true", "0", "é", "e\u0301", "\uffff", "😀", "a\x00b", "aba"]
DATES = [
    "2024-01-31",
    "2024-01-31T00:00:00Z",
    "2024-01-31T10:00:00+10:00",
    "2024-01-31T00:00:00.000001Z",
    "2023-12-31T23:59:59.999999-00:30",
    "2024-13-01",
    "1999-01-01",
    "9999-12-31",
    "2024-01-3",
]
SENTENCES = [
    "the quick brown fox",
    "Quick, the fox: brown!",
    "brown",
    "THE FOX the quick",
    "foxes are quick",
    "\uff46\uff4f\uff58 straße",
    "STRASSE fox",
    "foxes fox",
    "...",
]
LONG = ["z" * 1_025, "a" * 1_500 + " fox", "é" * 1_024]
INTEGERS = [0, 1, -1, 2, 7, 255, 2**53, 2**53 + 1, -(2**63), 2**63 - 1, 2**63, 2**64 - 1]
FLOATS = [0.0, -0.0, 0.5, 1.0, -1.0, 7.0, float(2**53), float(2**63), float(2**64), 1e308, -1e308, 5e-324]
PLACES = [
    (0.0, 0.0),
    (90.0, 0.0),
    (-90.0, 12.0),
    (52.5, 13.4),
    (52.5, -179.9),
    (52.6, 180.0),
    (-26.0, -180.0),
]
OPERANDS = ["fo* quick", "fox", "quick fox", "fo*", "the brown", "straße", "quick the", "missing", "b* f*"]
PHRASES = ["quick brown", "the fox", "fox the", "fox", "brown fox", "fox quick"]

NAMES = ("a", "b", "c", "d", "e", "Ä")
# Paths that filters name, some of which no document has.
PATHS = [("a",), ("b",), ("c",), ("d",), ("e",), ("Ä",), ("a", "b"), ("a", "b", "c"), ("b", "a"), ("loc",)]
PATHS += [("loc", "lat"), ("nobody",), ("text",), ("tags",)]


class World:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # What each field mostly holds in this world.
        self._habits = {name: self.random.choice(list(self._makers)) for name in NAMES}
        self._mixed = self.random.choice([0.0, 0.05, 0.5])

    def documents(self, count: int) -> list[dict[str, Any]]:
        return [self._document() for _ in range(count)]

    def pins(self) -> dict[str, str]:
        kinds = ["keyword", "integer", "float", "bool", "datetime", "text", "geo", "none"]
        pins = {name: self.random.choice(kinds) for name in NAMES if self.random.random() < 0.2}
        return {"text": "text", **pins}

    def expression(self, depth: int = 3) -> Filter:
        chance = self.random.random()
        if depth == 0 or chance < 0.5:
            return self.condition(self.random.choice(list(Operator)))
        if chance < 0.6:
            return Not(self.expression(depth - 1))
        children = tuple(self.expression(depth - 1) for _ in range(self.random.randint(1, 3)))
        if chance < 0.75:
            return And(children)
        if chance < 0.9:
            return Or(children)
        return MinShould(children, self.random.randint(1, len(children)))

    def condition(self, operator: Operator) -> Condition:
        if operator in (Operator.GEO_RADIUS, Operator.GEO_BOX, Operator.GEO_POLYGON):
            path = self.random.choice([("loc",), ("loc",), *PATHS])
            return Condition(path, operator, self._operand(operator))
        if operator in (Operator.TEXT, Operator.PHRASE):
            path = self.random.choice([("text",), ("text",), *PATHS])
            return Condition(path, operator, self._operand(operator))
        if operator is Operator.HAS_ID:
            return Condition((), operator, tuple({self.id_of(self.random.randrange(40)) for _ in range(3)}))
        return Condition(self.random.choice(PATHS), operator, self._operand(operator))

    @staticmethod
    def id_of(number: int) -> bytes:
        """Encoded, of the point with that number."""
        return b"\x01" + number.to_bytes(8, "big")

    def _operand(self, operator: Operator) -> Any:
        pick = self.random.choice
        match operator:
            case Operator.GT | Operator.GTE | Operator.LT | Operator.LTE:
                return pick([*TEXTS, *DATES, *INTEGERS, *FLOATS])
            case Operator.IN | Operator.NOT_IN:
                return tuple(self._scalar() for _ in range(self.random.randint(1, 4)))
            case Operator.STARTS_WITH | Operator.ENDS_WITH:
                return pick([*TEXTS, "2024", "Z", "fox"])
            case Operator.CONTAINS:
                return pick([*TEXTS, "fox", "Z", self._scalar()])
            case Operator.EXISTS | Operator.IS_NULL | Operator.IS_EMPTY:
                return pick([True, False])
            case Operator.VALUES_COUNT:
                bounds = {name: pick([0, 1, 1.5, 2, 3]) for name in ("gt", "gte", "lt", "lte")}
                return Range(**{name: bounds[name] for name in self.random.sample(list(bounds), 2)})
            case Operator.TEXT:
                return pick(OPERANDS)
            case Operator.PHRASE:
                return pick(PHRASES)
            case Operator.GEO_RADIUS:
                return GeoRadius(*pick(PLACES), pick([0.0, 10_000.0, 1.1e6, 2.1e7]))
            case Operator.GEO_BOX:
                return pick([GeoBox(53.0, 13.0, 0.0, 14.0), GeoBox(60.0, 170.0, -60.0, -170.0)])
            case Operator.GEO_POLYGON:
                return pick(
                    [
                        # A corner that an interior covers as well.
                        GeoPolygon(
                            ((0.0, 0.0), (60.0, 0.0), (60.0, 20.0), (0.0, 20.0)),
                            (((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)),),
                        ),
                        GeoPolygon(((50.0, 170.0), (55.0, 170.0), (55.0, -170.0), (50.0, -170.0))),
                        GeoPolygon(
                            ((-30.0, -30.0), (60.0, -30.0), (60.0, 40.0), (-30.0, 40.0)),
                            (((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)),),
                        ),
                    ]
                )
            case _:
                return self._scalar()

    def _document(self) -> dict[str, Any]:
        pick, chance = self.random.choice, self.random.random
        document = {name: self._value(self._habits[name]) for name in NAMES if chance() < 0.8}
        if chance() < 0.5:
            document["loc"] = self._place()
        if chance() < 0.7:
            document["text"] = pick(SENTENCES) if chance() < 0.8 else [pick(SENTENCES) for _ in range(2)]
        if chance() < 0.7:
            document["tags"] = [self._scalar() for _ in range(self.random.randint(0, 4))] * pick([1, 1, 2])
        if chance() < 0.1:
            document[pick(["a.b", "a.b.c", "", ".", "a.", "b.a"])] = self._value("anything")
        return document

    def _value(self, habit: str) -> Any:
        if self.random.random() < self._mixed:
            habit = "anything"
        return self._makers[habit](self)

    def _scalar(self) -> Any:
        return self.random.choice([None, True, False, *TEXTS, *DATES, *INTEGERS, *FLOATS])

    def _anything(self) -> Any:
        kind = self.random.choice(list(self._makers))
        return self._scalar() if kind == "anything" else self._makers[kind](self)

    def _array(self) -> list[Any]:
        return [self._anything() for _ in range(self.random.randint(0, 3))]

    def _object(self) -> dict[str, Any]:
        keys = ["a", "b", "c", "lat", "b.c", ""]
        return {key: self._value("anything") for key in keys if self.random.random() < 0.3}

    def _place(self) -> Any:
        latitude, longitude = self.random.choice(PLACES)
        place: dict[str, Any] = {"lat": latitude, "lon": longitude}
        odd = self.random.random()
        if odd < 0.1:
            return [place, {"lat": 52.5, "lon": 13.5}, 7]
        if odd < 0.2:
            others = [{"lat": 91, "lon": 0}, {"lat": 1}, {"lat": True, "lon": 0}, {**place, "x": 1}]
            return self.random.choice(others)
        return place

    _makers: ClassVar[dict[str, Any]] = {
        "text": lambda self: self.random.choice([*TEXTS, *SENTENCES]),
        "date": lambda self: self.random.choice(DATES),
        "long": lambda self: self.random.choice([*LONG, "a", "fox"]),
        "integer": lambda self: self.random.choice(INTEGERS),
        "float": lambda self: self.random.choice(FLOATS),
        "number": lambda self: self.random.choice([*INTEGERS, *FLOATS]),
        "flag": lambda self: self.random.random() < 0.5,
        "null": lambda self: None,
        "array": _array,
        "object": _object,
        "place": _place,
        "anything": _anything,
    }
