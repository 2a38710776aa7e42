"""What a document costs, told before anything of it runs.

Every value that may be answered costs 1, and what is asked of shards, models or the database costs the
weight of its field (`@cost`). What a list holds is counted as often as the list may be long: its `limit`, as
it was sent or as it is when it was not, or what is assumed of it (`@listSize`). Aliases are fields of their
own. The directives have the form of IBM's cost specification, as in the published schema.

A fragment is weighed once for each way it is used: documents can't grow without bound by naming fragments in
fragments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.schema_directive import Location

from hanax.core.errors import GraphqlTooCostly
from hanax.gateway.graphql.limits import GraphqlLimits

# What GraphQL itself answers about the schema: counted, as it is work, but at any depth its own rules allow.
_SCHEMA_WEIGHT: Final = {"__schema": 2_000, "__type": 200}


@strawberry.schema_directive(
    name="cost",
    locations=[Location.FIELD_DEFINITION],
    description="What this field costs beside what is below it; 1 where nothing is said. each: as often as "
    "this argument has entries",
)
class Cost:
    weight: int
    each: str | None = strawberry.UNSET


@strawberry.schema_directive(
    name="listSize",
    locations=[Location.FIELD_DEFINITION],
    description="How long lists may be: as one of these arguments says, else as assumed; it holds for the "
    "fields named, else for this one",
    repeatable=True,
)
class ListSize:
    assumed_size: int | None = strawberry.directive_field("assumedSize", default=strawberry.UNSET)
    slicing_arguments: list[str] | None = strawberry.directive_field(
        "slicingArguments", default=strawberry.UNSET
    )
    sized_fields: list[str] | None = strawberry.directive_field("sizedFields", default=strawberry.UNSET)


@dataclass(frozen=True, slots=True)
class Weight:
    """depth: of fields in fields, without those that tell of the schema."""

    cost: int
    depth: int


@dataclass(frozen=True, slots=True)
class _Size:
    """Of the fields at these paths below; without any, of the field itself."""

    assumed: int
    arguments: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    """each: the argument whose entries cost the weight; empty: it counts once."""

    weight: int
    each: str
    sizes: tuple[_Size, ...]


def check(weight: Weight, limits: GraphqlLimits) -> None:
    """Raises GraphqlTooCostly."""
    if weight.depth > limits.depth:
        raise GraphqlTooCostly(
            f"a document has at most {limits.depth} fields in fields, this one has {weight.depth}",
            limit=limits.depth,
            depth=weight.depth,
        )
    if weight.cost > limits.cost:
        raise GraphqlTooCostly(
            f"a document may cost {limits.cost}, this one costs {weight.cost}: ask for fewer fields or "
            "with lower limits, or in several requests",
            limit=limits.cost,
            cost=weight.cost,
        )


class Scales:
    """Weighs documents of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._rules: dict[tuple[str, str], _Rule] = {}

    def weigh(
        self, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> Weight:
        """variables: as they were sent. The document need not be valid: what is not in the schema costs 1."""
        root = self._schema.get_root_type(operation.operation)
        fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        defaults = {
            node.variable.name.value: node.default_value for node in operation.variable_definitions or ()
        }
        weighing = _Weighing(self, fragments, dict(variables), defaults)
        return weighing.selections(operation.selection_set, root, {})

    def field(self, parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
        if not isinstance(parent, GraphQLObjectType):
            return None
        found: GraphQLField | None = parent.fields.get(name)
        return found

    def type(self, name: str) -> GraphQLNamedType | None:
        return self._schema.get_type(name)

    def rule(self, parent: GraphQLNamedType, name: str, field: GraphQLField) -> _Rule:
        key = (parent.name, name)
        if key not in self._rules:
            self._rules[key] = _rule_of(field)
        return self._rules[key]


class _Weighing:
    """One document with its variables."""

    def __init__(
        self,
        scales: Scales,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any],
        defaults: Mapping[str, ValueNode | None],
    ) -> None:
        self._scales = scales
        self._fragments = fragments
        self._variables = variables
        self._defaults = defaults
        self._known: dict[tuple[str, tuple[tuple[str, int], ...]], Weight] = {}
        self._open: set[str] = set()

    def selections(
        self, node: SelectionSetNode, parent: GraphQLNamedType | None, sizes: Mapping[str, int]
    ) -> Weight:
        """sizes: how long lists of these fields are, as the field around them says."""
        cost, depth = 0, 0
        for selection in node.selections:
            if isinstance(selection, FieldNode):
                weight = self._field(selection, parent, sizes)
            elif isinstance(selection, InlineFragmentNode):
                kind = parent
                if selection.type_condition is not None:
                    kind = self._scales.type(selection.type_condition.name.value)
                weight = self.selections(selection.selection_set, kind, sizes)
            else:
                assert isinstance(selection, FragmentSpreadNode)
                weight = self._fragment(selection.name.value, sizes)
            cost += weight.cost
            depth = max(depth, weight.depth)
        return Weight(cost, depth)

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, sizes: Mapping[str, int]) -> Weight:
        name = node.name.value
        if name.startswith("__"):
            return Weight(_SCHEMA_WEIGHT.get(name, 1), 1)
        field = self._scales.field(parent, name)
        if field is None or parent is None:
            below = self.selections(node.selection_set, None, {}) if node.selection_set else Weight(0, 0)
            return Weight(1 + below.cost, 1 + below.depth)
        rule = self._scales.rule(parent, name, field)
        weight = rule.weight
        if rule.each:
            weight *= max(self._argument(node, field, rule.each) or 0, 1)
        own = 1
        inner = {path[len(name) + 1 :]: size for path, size in sizes.items() if path.startswith(f"{name}.")}
        for size in rule.sizes:
            length = self._size(node, field, size)
            inner |= dict.fromkeys(size.fields, length)
            if not size.fields:
                own = length
        below = Weight(0, 0)
        if node.selection_set is not None:
            below = self.selections(node.selection_set, get_named_type(field.type), inner)
        if name in sizes:
            # Each entry of a list, with what is asked of it.
            return Weight(sizes[name] * (weight + below.cost), 1 + below.depth)
        return Weight(weight + own * below.cost, 1 + below.depth)

    def _fragment(self, name: str, sizes: Mapping[str, int]) -> Weight:
        fragment = self._fragments.get(name)
        if fragment is None or name in self._open:
            return Weight(1, 1)
        key = (name, tuple(sorted(sizes.items())))
        if key not in self._known:
            self._open.add(name)
            kind = self._scales.type(fragment.type_condition.name.value)
            self._known[key] = self.selections(fragment.selection_set, kind, sizes)
            self._open.remove(name)
        return self._known[key]

    def _size(self, node: FieldNode, field: GraphQLField, told: _Size) -> int:
        """The longest that one of the arguments allows; as assumed where none is there."""
        found = [size for path in told.arguments if (size := self._argument(node, field, path)) is not None]
        return max(found) if found else told.assumed

    def _argument(self, node: FieldNode, field: GraphQLField, path: str) -> int | None:
        """The number at `name` or `name.field`; None where it has none."""
        name, _, rest = path.partition(".")
        argument = field.args.get(name)
        if argument is None:
            return None
        default = _default_of(argument, argument.type, rest)
        value = next((one.value for one in node.arguments or () if one.name.value == name), None)
        found = self._plain(value, rest)
        return _count(found) if found is not None else default

    def _plain(self, value: ValueNode | None, rest: str) -> Any:
        """An integer, or a list; None for what is not there."""
        if isinstance(value, VariableNode):
            name = value.name.value
            if name not in self._variables:
                return self._plain(self._defaults.get(name), rest)
            given = self._variables[name]
            return given.get(rest) if rest and isinstance(given, Mapping) else None if rest else given
        if rest:
            if not isinstance(value, ObjectValueNode):
                return None
            return self._plain(next((one.value for one in value.fields if one.name.value == rest), None), "")
        if isinstance(value, IntValueNode):
            # Whatever is longer is refused by its type.
            return int(value.value[:20])
        if isinstance(value, ListValueNode):
            return list(value.values)
        return None


def _count(value: Any) -> int | None:
    """A list counts as its length; a number that GraphQL takes for an integer as that."""
    if isinstance(value, list):
        return len(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return max(int(value), 0)


def _default_of(argument: Any, kind: Any, rest: str) -> int | None:
    """What the schema says where a client says nothing."""
    holder = argument
    if rest:
        named = get_named_type(kind)
        if not isinstance(named, GraphQLInputObjectType) or rest not in named.fields:
            return None
        holder = named.fields[rest]
    default = holder.default_value
    return _count(default) if default is not Undefined else None


def _rule_of(field: GraphQLField) -> _Rule:
    definition = (field.extensions or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
    weight, each = 1, ""
    sizes: list[_Size] = []
    for directive in getattr(definition, "directives", None) or ():
        if isinstance(directive, Cost):
            weight, each = directive.weight, directive.each or ""
        elif isinstance(directive, ListSize):
            sizes.append(
                _Size(
                    directive.assumed_size or 1,
                    tuple(directive.slicing_arguments or ()),
                    tuple(directive.sized_fields or ()),
                )
            )
    return _Rule(weight, each, tuple(sizes))
