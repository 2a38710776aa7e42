"""What nodes of conditions are made of: runs and sets of one path's columns, and what they don't tell."""

from __future__ import annotations

from collections.abc import Callable

from hanax.engine.filters.bitmaps import Chosen, Constant, Found, Node, Run, Unsure
from hanax.engine.filters.columns import Groups, PathColumns, Postings, RowSet, Words


def rows_with(columns: PathColumns, kind: str) -> Node:
    """Rows of a set."""
    rows = columns.sets.get(kind)
    if rows is None:
        return Constant(columns.segment_rows, False)
    return Chosen(columns.segment_rows, (), [rows], distinct=True)


def chosen(columns: PathColumns, runs: list[Run], sets: list[RowSet]) -> Node:
    """Rows with a value in the runs or sets, which share no value."""
    return with_rest(columns, Chosen(columns.segment_rows, runs, sets, columns.single))


def with_rest(columns: PathColumns, node: Node) -> Node:
    rest = columns.sets.get("rest")
    return node if rest is None else Unsure(node, rest.count, rest.words)


def found(columns: PathColumns, postings: Postings, find: Callable[[], Groups]) -> Node:
    """Rows of the groups that will be found."""

    def words() -> Words:
        return postings.union(find())

    return Found(columns.segment_rows, len(postings.rows), words)


def unread(columns: PathColumns, texts: Postings) -> Node:
    """Rows with texts have to be looked at."""
    nothing = Constant(columns.segment_rows, False)
    return with_rest(columns, Unsure(nothing, len(texts.rows), lambda: texts.words(0, texts.groups)))
