"""Where the parser is in a filter, and how much more of it may come."""

from __future__ import annotations

from dataclasses import dataclass

from hanax.core.errors import InvalidFilter
from hanax.core.json_values import is_unicode, kind_of
from hanax.core.limits import MAX_FILTER_DEPTH, MAX_FILTER_NODES


@dataclass(slots=True)
class _Budget:
    nodes: int


@dataclass(frozen=True, slots=True)
class Place:
    """One node of the tree to be. `where` is its place in what was sent: "filter.and[2]"."""

    where: str
    depth: int
    budget: _Budget

    @staticmethod
    def root() -> Place:
        return Place("filter", 1, _Budget(MAX_FILTER_NODES - 1))

    def at(self, step: str) -> Place:
        """The same node, `step` further in what was sent."""
        return Place(self.where + step, self.depth, self.budget)

    def below(self, step: str) -> Place:
        """A child of this node, `step` further in what was sent. Raises InvalidFilter past a limit."""
        if self.depth == MAX_FILTER_DEPTH:
            raise InvalidFilter(f"a filter is at most {MAX_FILTER_DEPTH} levels deep")
        self.budget.nodes -= 1
        if self.budget.nodes < 0:
            raise InvalidFilter(f"a filter has at most {MAX_FILTER_NODES} conditions and groups")
        return Place(self.where + step, self.depth + 1, self.budget)


def show(value: object) -> str:
    """A name as the user wrote it, cut to fit a message."""
    return repr(value[:40]) if isinstance(value, str) else kind_of(value)


def parse_path(field: object, where: str) -> tuple[str, ...]:
    """The names of a dotted field. Raises InvalidFilter."""
    if isinstance(field, str) and is_unicode(field) and all(path := field.split(".")):
        return tuple(path)
    raise InvalidFilter(f"{where}: expected a name, or names joined by '.', got {show(field)}")
