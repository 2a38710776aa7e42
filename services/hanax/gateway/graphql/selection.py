"""What a document asks for below a field, so that nothing else is fetched.

What `@skip` and `@include` leave out counts as asked for: it costs what it would have cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode

from hanax.gateway.graphql.context import Info


def asks_for(info: Info, *path: str) -> bool:
    """Whether the field at `path`, below the one that is resolved, is asked for."""
    raw = info._raw_info
    nodes: list[FieldNode] = list(raw.field_nodes)
    for name in path:
        nodes = [
            inner
            for node in nodes
            if node.selection_set is not None
            for inner in _fields(node.selection_set, raw.fragments)
            if inner.name.value == name
        ]
    return bool(nodes)


def _fields(selections: SelectionSetNode, fragments: Any) -> Iterator[FieldNode]:
    for selection in selections.selections:
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from _fields(selection.selection_set, fragments)
        elif isinstance(selection, FragmentSpreadNode):
            fragment = fragments[selection.name.value]
            yield from _fields(getattr(fragment, "definition", fragment).selection_set, fragments)
