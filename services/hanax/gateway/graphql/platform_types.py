"""What those who run the platform ask of it: keys, the operation log, the cache."""

from __future__ import annotations

from typing import Any

from hanax.gateway.graphql.shapes import Shapes, list_of, optional_of
from hanax.gateway.guard.rights import GrantBody, RateBody
from hanax.gateway.schemas import keys, operations, service


class NamedRate(service.CacheRate):
    """Look-ups of one operation."""

    operation: str


class PlatformTypes:
    def __init__(self, shapes: Shapes) -> None:
        shapes.object(GrantBody, "KeyGrant")
        shapes.object(RateBody, "KeyRate")
        self.key = shapes.object(keys.Key, "Key")
        self.told_key = shapes.object(keys.ToldKey, "ToldKey")
        self.keys = shapes.object(
            keys.KeyList, "KeyPage", keys=list_of(self.key), next_cursor=optional_of(str)
        )
        operation = shapes.object(operations.Operation, "Operation")
        self.operations = shapes.object(
            operations.Operations,
            "OperationPage",
            operations=list_of(operation),
            next_cursor=optional_of(str),
        )
        rates = list_of(shapes.object(NamedRate, "CacheRate"))
        self.cache = shapes.object(service.CacheStats, "CacheStats", operations=rates)
        self.warmed = shapes.object(service.CacheWarmed, "CacheWarmed")
        self.cleared = shapes.object(service.CacheCleared, "CacheCleared")


def named_rates(stats: dict[str, Any]) -> dict[str, Any]:
    """The rates of operations as a list: names of fields are fixed here."""
    rates = [{"operation": name, **rate} for name, rate in stats["operations"].items()]
    return {**stats, "operations": rates}
