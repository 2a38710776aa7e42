"""Running a document that was read: which operation, what it may cost, and its result as JSON has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import orjson
from graphql import FieldNode, GraphQLError, OperationDefinitionNode, OperationType

from hanax.core.errors import HanaxError, MethodNotAllowed
from hanax.gateway.calls import Call
from hanax.gateway.graphql.context import Context
from hanax.gateway.graphql.cost import Scales, check
from hanax.gateway.graphql.documents import Document, Documents, InvalidDocument
from hanax.gateway.graphql.errors import PATH, show_error, show_failure
from hanax.gateway.graphql.limits import GraphqlLimits
from hanax.gateway.graphql.persisted import PersistedDocuments
from hanax.gateway.graphql.requests import Asked
from hanax.gateway.graphql.schema import SCHEMA
from hanax.gateway.graphql.streams import encode
from hanax.gateway.services import Services

# What the audit log is told of.
_DENIED: Final = frozenset({"unauthenticated", "permission_denied", "rate_limited"})

# Answers that tell the schema: some 150 KiB each.
_KEPT_SCHEMAS: Final = 8


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation that may run. cost: what it was weighed with. only_schema: it asks for nothing else."""

    asked: Asked
    document: Document
    kind: OperationType
    name: str | None
    cost: int
    only_schema: bool


class Refused(Exception):
    """A request that nothing of was run. errors: as they are shown; first: the first of them."""

    def __init__(self, errors: list[dict[str, Any]], status: int) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors
        self.status = status


class Operations:
    """For one event loop."""

    def __init__(self, services: Services, limits: GraphqlLimits) -> None:
        self._services = services
        self._limits = limits
        documents = Documents(SCHEMA.core, limits.introspection)
        self._documents = PersistedDocuments(documents, services.cache.store)
        self._scales = Scales(SCHEMA.core)
        self._schemas: OrderedDict[tuple[str, str | None, bytes], orjson.Fragment] = OrderedDict()

    async def prepare(self, call: Call, asked: Asked, changes: bool) -> Prepared:
        """changes: whether the request may change anything, or last. Raises Refused."""
        try:
            document = await self._documents.find(asked)
            operation = document.operation(asked.operation_name)
            if not changes and operation.operation is not OperationType.QUERY:
                raise MethodNotAllowed(f"a {operation.operation.value} is not for GET; expected POST")
            weight = self._scales.weigh(document.tree, operation, asked.variables or {})
            check(weight, self._limits)
        except InvalidDocument as invalid:
            shown = [show_failure(error, call.request_id) for error in invalid.errors]
            raise Refused(shown, shown[0]["extensions"]["http_status"]) from None
        except HanaxError as error:
            shown_error = show_error(error)
            raise Refused([shown_error], shown_error["extensions"]["http_status"]) from None
        name = None if operation.name is None else operation.name.value
        only_schema = _asks_for_the_schema(operation)
        return Prepared(asked, document, operation.operation, name, weight.cost, only_schema)

    async def run(self, call: Call, prepared: Prepared) -> dict[str, Any]:
        """Of a query or a mutation."""
        if prepared.only_schema:
            return await self._tell_schema(call, prepared)
        result = await SCHEMA.execute(
            prepared.document.text,
            variable_values=prepared.asked.variables,
            context_value=self._context(call, prepared),
            operation_name=prepared.name,
        )
        return self._show(call, prepared, result)

    async def follow(self, call: Call, prepared: Prepared) -> AsyncIterator[dict[str, Any]]:
        """Of any operation: each result as it comes."""
        results = await SCHEMA.stream(
            prepared.document.text,
            variable_values=prepared.asked.variables,
            context_value=self._context(call, prepared),
            operation_name=prepared.name,
        )
        async with contextlib.aclosing(results):
            async for result in results:
                yield self._show(call, prepared, result)

    async def _tell_schema(self, call: Call, prepared: Prepared) -> dict[str, Any]:
        """The whole schema takes a tenth of a second: in a thread, and once for the same document."""
        # Of variables a digest: they may be as long as a body.
        variables = blake2b(repr(prepared.asked.variables).encode(errors="replace")).digest()
        key = (prepared.document.hash, prepared.name, variables)
        known = self._schemas.get(key)
        if known is None:
            result = await asyncio.to_thread(
                SCHEMA.execute_sync,
                prepared.document.text,
                variable_values=prepared.asked.variables,
                context_value=self._context(call, prepared),
                operation_name=prepared.name,
            )
            shown = self._show(call, prepared, result)
            if "errors" in shown:
                return shown
            known = orjson.Fragment(encode(shown["data"]))
            self._schemas[key] = known
            if len(self._schemas) > _KEPT_SCHEMAS:
                self._schemas.popitem(last=False)
        return {"data": known, "extensions": _extensions(call, prepared)}

    def _show(self, call: Call, prepared: Prepared, result: Any) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        errors: list[GraphQLError] = result.errors or []
        if errors:
            shown["errors"] = [show_failure(error, call.request_id) for error in errors]
            for one in shown["errors"]:
                if (code := one["extensions"]["code"]) in _DENIED:
                    self._services.metrics.refused(code, call, PATH)
        # Where nothing was run, as a variable was wrong, there is no data.
        if result.data is not None or not errors or any(error.path for error in errors):
            shown["data"] = result.data
        shown["extensions"] = _extensions(call, prepared)
        return shown

    def _context(self, call: Call, prepared: Prepared) -> Context:
        serial = prepared.kind is not OperationType.QUERY
        return Context(self._services, call, prepared.document, serial, self._limits.most_s)


def _extensions(call: Call, prepared: Prepared) -> dict[str, Any]:
    return {"request_id": call.request_id, "cost": prepared.cost}


def _asks_for_the_schema(operation: OperationDefinitionNode) -> bool:
    return operation.operation is OperationType.QUERY and all(
        isinstance(node, FieldNode) and node.name.value.startswith("__")
        for node in operation.selection_set.selections
    )
