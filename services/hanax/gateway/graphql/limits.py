"""What a document may ask for, as the settings say."""

from __future__ import annotations

from dataclasses import dataclass

from hanax.core.settings import GatewaySettings


@dataclass(frozen=True, slots=True)
class GraphqlLimits:
    """cost: as `cost` weighs. depth: fields in fields. most_s: how long all of a query may take."""

    cost: int
    depth: int
    introspection: bool
    most_s: float

    @staticmethod
    def of(settings: GatewaySettings) -> GraphqlLimits:
        return GraphqlLimits(
            settings.graphql_max_cost,
            settings.graphql_max_depth,
            settings.graphql_introspection,
            max(settings.request_timeout_s, settings.embed_timeout_s, settings.create_timeout_s),
        )
