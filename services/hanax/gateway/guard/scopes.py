"""What a caller may do, and with which collections."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hanax.core.errors import InvalidArgument

# As names of collections, with what may follow left open; or all.
_PATTERN_FORM: Final = re.compile(r"\*|[a-z0-9][a-z0-9-]{0,62}\*?")
MAX_GRANTS: Final = 32
MAX_PATTERNS: Final = 256


class Scope(StrEnum):
    """ADMIN holds the others as well. WRITE holds no READ: who only delivers need not look."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Grant:
    """Scopes over collections. A pattern is a name, a beginning of names that ends in `*`, or `*` for all."""

    scopes: frozenset[Scope]
    collections: tuple[str, ...] = ("*",)

    def gives(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def covers(self, collection: str) -> bool:
        return any(
            collection.startswith(pattern[:-1]) if pattern.endswith("*") else collection == pattern
            for pattern in self.collections
        )

    @property
    def is_for_all(self) -> bool:
        return "*" in self.collections


def grant_of(scopes: Iterable[str], collections: Iterable[str], where: str) -> Grant:
    """A grant from what someone wrote; `where` names it. Raises InvalidArgument."""
    given, patterns = list(scopes), list(dict.fromkeys(collections))
    known = {scope.value for scope in Scope}
    if not given:
        raise InvalidArgument(f"{where}.scopes: expected one or more of read, write, admin")
    for number, scope in enumerate(given):
        if scope not in known:
            raise InvalidArgument(
                f"{where}.scopes[{number}]: expected read, write or admin, got {scope[:20]!r}"
            )
    if not 0 < len(patterns) <= MAX_PATTERNS:
        raise InvalidArgument(f"{where}.collections: expected 1 to {MAX_PATTERNS}, got {len(patterns)}")
    for number, pattern in enumerate(patterns):
        if not _PATTERN_FORM.fullmatch(pattern):
            raise InvalidArgument(
                f"{where}.collections[{number}]: expected a name, a beginning of names and '*', or '*', "
                f"got {pattern[:63]!r}"
            )
    return Grant(frozenset(Scope(scope) for scope in given), tuple(patterns))
