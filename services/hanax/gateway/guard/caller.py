"""Who asks, and what they may do. Service objects ask it; doors only find out who it is.

What a caller may not see is refused in the same words whether it exists or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hanax.core.errors import PermissionDenied, Unauthenticated
from hanax.gateway.guard.scopes import Grant, Scope

# Fields of metadata with the one value that a caller's points have.
Forced = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second, and how many may come at once."""

    per_s: float
    burst: int


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """`name` goes into logs: `key <public id>`, `token <subject>`; empty: whoever is at the door.

    identity: what is counted and kept for a caller is so by this; the name, where that is nobody else's.

    forced: what every point that the caller reads or writes has in its metadata; None: points of any kind.
    refusal: why nothing at all is allowed, as it is not known who asks.
    """

    name: str
    grants: tuple[Grant, ...]
    forced: Forced | None = None
    rate: Rate | None = None
    # Of one process of the platform itself: its word on whom it works for is believed.
    is_service: bool = False
    refusal: str = ""
    identity: str = ""
    # All of it over all collections: asked first, so that nothing else is looked at where nobody is guarded.
    unbound: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        everything = any(Scope.ADMIN in grant.scopes and grant.is_for_all for grant in self.grants)
        object.__setattr__(self, "identity", self.identity or self.name)
        object.__setattr__(self, "unbound", everything and self.forced is None and not self.refusal)

    def allows(self, scope: Scope, collection: str) -> bool:
        """collection: its own name, no alias."""
        if self.unbound:
            return True
        return not self.refusal and any(
            grant.gives(scope) and grant.covers(collection) for grant in self.grants
        )

    def require(self, scope: Scope, collection: str, asked_as: str = "") -> None:
        """collection: its own name; asked_as: the name that the request has, where it is another.

        Raises Unauthenticated or PermissionDenied.
        """
        if not self.unbound and not self.allows(scope, collection):
            raise self._denied(scope, f"collection {(asked_as or collection)[:63]!r}")

    def require_all(self, scope: Scope, what: str) -> None:
        """For what is of no collection and tells of all of them, and for nobody whose points are forced."""
        if self.unbound:
            return
        if self.forced is not None:
            raise PermissionDenied(f"this caller sees points of its own alone: {what} is not for it")
        if not any(grant.gives(scope) and grant.is_for_all for grant in self.grants):
            raise self._denied(scope, what)

    def require_some(self, scope: Scope, what: str) -> None:
        """For what is of no collection and tells of none: whoever has the scope anywhere."""
        if not self.unbound and not any(grant.gives(scope) for grant in self.grants):
            raise self._denied(scope, what)

    def require_unconfined(self, what: str) -> None:
        """Raises PermissionDenied for a caller whose points are forced."""
        if self.forced is not None:
            raise PermissionDenied(f"this caller sees points of its own alone: {what} is not for it")

    def _denied(self, scope: Scope, what: str) -> Unauthenticated | PermissionDenied:
        if self.refusal:
            return Unauthenticated(self.refusal)
        return PermissionDenied(f"this caller may not {_VERBS[scope]} {what}", scope=scope.value)


_VERBS: Final = {Scope.READ: "read", Scope.WRITE: "write to", Scope.ADMIN: "administer"}

# Where nobody is guarded, everybody.
ANYONE: Final = Caller("", (Grant(frozenset(Scope)),))

# Where somebody is, and the request names nobody.
NOBODY: Final = Caller(
    "", (), refusal="expected an API key: Authorization: Bearer <key>, or X-API-Key: <key>"
)
