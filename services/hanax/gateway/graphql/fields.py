"""How fields of the roots are declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import strawberry

from hanax.gateway.graphql.shapes import optional_of

Resolver = TypeVar("Resolver", bound=Callable[..., object])


def answers(kind: Any, description: str, *directives: object) -> Callable[[Resolver], Resolver]:
    """A field of this type; null where it fails, so that what else was asked for is answered."""

    def declare(resolver: Resolver) -> Resolver:
        made = strawberry.field(
            resolver, description=description, graphql_type=optional_of(kind), directives=directives
        )
        return cast("Resolver", made)

    return declare


def follows(kind: Any, description: str, *directives: object) -> Callable[[Resolver], Resolver]:
    """A field of a subscription, whose results come one after the other."""

    def declare(resolver: Resolver) -> Resolver:
        made = strawberry.subscription(
            resolver, description=description, graphql_type=kind, directives=directives
        )
        return cast("Resolver", made)

    return declare
