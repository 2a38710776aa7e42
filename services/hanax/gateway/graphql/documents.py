"""Documents: from text to what can be run, bounded before anything else is done with it.

A text is measured, then parsed, then weighed with no variables for its depth, then validated; each step is
bounded by the one before. What came out, good or bad, is kept by the text's hash: clients send the same few
texts again and again.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    recommended_rules,
    specified_rules,
    validate,
)

from hanax.core.errors import GraphqlInvalid, GraphqlTooCostly

# The introspection that tools send has some 1,500 characters and 400 tokens.
MAX_DOCUMENT_BYTES: Final = 65_536
MAX_TOKENS: Final = 2_000
# Brackets in brackets: the parser calls itself for each. Fields in fields have a limit of their own.
MAX_NESTING: Final = 64
# Of one name in a document: validation compares each with each.
MAX_SAME_FIELDS: Final = 100

_MOST_ERRORS: Final = 20
# Longer texts are read in a thread: some milliseconds.
_READ_HERE_UP_TO: Final = 2_048

# A tree takes some hundred times the memory of its text.
_KEPT_BYTES: Final = 256 * 1024

# What may hold brackets that are none, and the brackets.
_PARTS: Final = re.compile(r'"""(?:\\"""|[\s\S])*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*|[{(\[]|[})\]]')


@dataclass(frozen=True, slots=True)
class Document:
    """text: as it was sent. hash: sha-256 of it, in hexadecimal."""

    text: str
    hash: str
    tree: DocumentNode

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The one that is to be run. Raises GraphqlInvalid."""
        operations = [node for node in self.tree.definitions if isinstance(node, OperationDefinitionNode)]
        if name is not None:
            for node in operations:
                if node.name is not None and node.name.value == name:
                    return node
            raise GraphqlInvalid(f"operationName: the document has no operation {name[:60]!r}")
        if len(operations) != 1:
            raise GraphqlInvalid(
                f"operationName: expected the name of one of the document's {len(operations)} operations"
            )
        return operations[0]


class InvalidDocument(Exception):
    """What is wrong with a text, with the places in it."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = list(errors)


class Documents:
    """For one event loop."""

    def __init__(self, schema: GraphQLSchema, introspection: bool) -> None:
        self._schema = schema
        self._introspection = introspection
        self._rules: list[type[ASTValidationRule]] = [*specified_rules, *recommended_rules]
        if not introspection:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._kept_bytes = 0

    async def read(self, text: str) -> Document:
        """Raises InvalidDocument, and GraphqlTooCostly for what is too long or too deep to be looked at."""
        raw = text.encode("utf-8", "replace")
        if len(raw) > MAX_DOCUMENT_BYTES:
            raise GraphqlTooCostly(
                f"a document has at most {MAX_DOCUMENT_BYTES} bytes, this one has {len(raw)}",
                limit=MAX_DOCUMENT_BYTES,
            )
        digest = hash_of(raw)
        if (found := self.known(digest)) is not None:
            return found
        if len(raw) <= _READ_HERE_UP_TO:
            made = Document(text, digest, self._read(text))
        else:
            made = Document(text, digest, await asyncio.to_thread(self._read, text))
        self._keep(made)
        return made

    def known(self, digest: str) -> Document | None:
        """The document with this hash, where it was read before."""
        found = self._kept.get(digest)
        if found is not None:
            self._kept.move_to_end(digest)
        return found

    def _read(self, text: str) -> DocumentNode:
        _check_nesting(text)
        try:
            tree = parse(text, max_tokens=MAX_TOKENS)
        except GraphQLError as error:
            if "token" in error.message and str(MAX_TOKENS) in error.message:
                raise GraphqlTooCostly(
                    f"a document has at most {MAX_TOKENS} tokens", limit=MAX_TOKENS
                ) from None
            raise InvalidDocument([error]) from None
        _check_repetition(tree)
        errors = validate(self._schema, tree, self._rules, max_errors=_MOST_ERRORS)
        if errors:
            # Names that a client did not know are told where the schema is.
            raise InvalidDocument(errors if self._introspection else [_bare(error) for error in errors])
        return tree

    def _keep(self, made: Document) -> None:
        if made.hash in self._kept:
            return
        self._kept[made.hash] = made
        self._kept_bytes += len(made.text)
        while self._kept_bytes > _KEPT_BYTES:
            _, gone = self._kept.popitem(last=False)
            self._kept_bytes -= len(gone.text)


def hash_of(raw: bytes) -> str:
    """What a client names a document by."""
    return hashlib.sha256(raw).hexdigest()


def _check_nesting(text: str) -> None:
    """Raises GraphqlTooCostly."""
    depth = 0
    for found in _PARTS.finditer(text):
        part = found[0]
        if part in "{([":
            depth += 1
            if depth > MAX_NESTING:
                raise GraphqlTooCostly(
                    f"a document has at most {MAX_NESTING} brackets in brackets", limit=MAX_NESTING
                )
        elif part in "})]":
            depth -= 1


def _check_repetition(tree: DocumentNode) -> None:
    """Raises GraphqlTooCostly."""
    counts: Counter[str] = Counter()
    pending: list[SelectionSetNode] = [
        node.selection_set
        for node in tree.definitions
        if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while pending:
        for selection in pending.pop().selections:
            if isinstance(selection, FieldNode):
                counts[(selection.alias or selection.name).value] += 1
            inner = getattr(selection, "selection_set", None)
            if inner is not None:
                pending.append(inner)
    name, count = max(counts.items(), key=lambda one: one[1], default=("", 0))
    if count > MAX_SAME_FIELDS:
        raise GraphqlTooCostly(
            f"a document has a name at most {MAX_SAME_FIELDS} times, {name[:60]!r} comes {count} times",
            limit=MAX_SAME_FIELDS,
        )


def _bare(error: GraphQLError) -> GraphQLError:
    message = error.message.partition(" Did you mean")[0]
    return GraphQLError(message, error.nodes, error.source, error.positions)
