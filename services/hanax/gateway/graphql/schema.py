"""The schema, made once. `text` is what docs/reference/schema.graphql holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import strawberry
from graphql import GraphQLError, GraphQLSchema
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext

from hanax.gateway.graphql.mutations import Mutation
from hanax.gateway.graphql.queries import Query
from hanax.gateway.graphql.scalars import CONFIG
from hanax.gateway.graphql.subscriptions import Subscription


class ReadBefore(SchemaExtension):
    """The document was read and validated when it came, or when it came first: not once more."""

    def on_parse(self) -> Iterator[None]:
        self.execution_context.graphql_document = self.execution_context.context.document.tree
        yield

    def on_validate(self) -> Iterator[None]:
        self.execution_context.pre_execution_errors = []
        yield


class Schema(strawberry.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """They are written down where they are shown."""

    @property
    def core(self) -> GraphQLSchema:
        """What graphql-core knows."""
        return self._schema


SCHEMA: Final = Schema(
    query=Query, mutation=Mutation, subscription=Subscription, config=CONFIG, extensions=[ReadBefore]
)


def text() -> str:
    """The schema in GraphQL's own language."""
    return SCHEMA.as_str() + "\n"
