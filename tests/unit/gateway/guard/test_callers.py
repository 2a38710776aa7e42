"""Scopes and collections of grants, and what callers are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hanax.core.errors import HanaxError, InvalidArgument, PermissionDenied, Unauthenticated
from hanax.gateway.guard.caller import ANYONE, NOBODY, Caller
from hanax.gateway.guard.guard import read_credential
from hanax.gateway.guard.scopes import Grant, Scope, grant_of

READ, WRITE, ADMIN = Scope.READ, Scope.WRITE, Scope.ADMIN


def caller(*grants: tuple[str, tuple[str, ...]], **more: object) -> Caller:
    made = tuple(grant_of(scopes.split(), collections, "grant") for scopes, collections in grants)
    return Caller("test", made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scopes", "gives"),
    [("read", {READ}), ("write", {WRITE}), ("admin", {READ, WRITE, ADMIN}), ("read write", {READ, WRITE})],
)
def test_what_scopes_hold(scopes: str, gives: set[Scope]) -> None:
    one = caller((scopes, ("docs",)))
    assert {scope for scope in Scope if one.allows(scope, "docs")} == gives
    assert not any(one.allows(scope, "docs-1") for scope in Scope)


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        ("docs", ["docs"], ["doc", "docs-1", "*", ""]),
        ("docs-*", ["docs-", "docs-1", "docs-a-b"], ["docs", "docs1"]),
        ("*", ["docs", "library-1"], []),
    ],
)
def test_what_patterns_cover(pattern: str, covered: list[str], not_covered: list[str]) -> None:
    grant = Grant(frozenset({READ}), (pattern,))
    assert all(map(grant.covers, covered))
    assert not any(map(grant.covers, not_covered))


@pytest.mark.parametrize(
    "pattern", ["", "-docs", "Docs", "do cs", "*docs", "do*cs", "docs**", "a/b", "a" * 65]
)
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(InvalidArgument):
        grant_of(["read"], [pattern], "grant")


def test_grants_do_not_add_up_over_collections() -> None:
    one = caller(("read", ("*",)), ("write", ("docs-*",)))
    assert one.allows(READ, "other")
    assert one.allows(WRITE, "docs-1")
    assert not one.allows(WRITE, "other")
    one.require_all(READ, "x")
    with pytest.raises(PermissionDenied):
        one.require_all(WRITE, "x")


def test_anyone_may_everything_and_nobody_nothing() -> None:
    ANYONE.require(ADMIN, "docs")
    ANYONE.require_all(ADMIN, "x")
    ANYONE.require_some(ADMIN, "x")
    ANYONE.require_unconfined("x")
    refused: list[Callable[[], None]] = [
        lambda: NOBODY.require(READ, "docs"),
        lambda: NOBODY.require_all(READ, "x"),
        lambda: NOBODY.require_some(READ, "x"),
    ]
    for ask in refused:
        with pytest.raises(Unauthenticated):
            ask()
    assert not NOBODY.allows(READ, "docs")


def test_a_tenant_has_nothing_of_all() -> None:
    one = caller(("admin", ("*",)), forced={"tenant": "a"})
    one.require(ADMIN, "docs")
    refused: list[Callable[[], None]] = [
        lambda: one.require_all(READ, "x"),
        lambda: one.require_unconfined("x"),
    ]
    for ask in refused:
        with pytest.raises(PermissionDenied):
            ask()


@pytest.mark.parametrize(
    ("authorization", "api_key", "found"),
    [
        ("", "", ""),
        ("Bearer abc", "", "abc"),
        ("bearer  abc ", "", "abc"),
        ("", "abc", "abc"),
        # What a proxy adds for itself.
        ("Basic YTpi", "abc", "abc"),
        ("Bearer", "", ""),
        ("Basic YTpi", "", Unauthenticated),
        ("abc", "", Unauthenticated),
    ],
)
def test_where_credentials_stand(authorization: str, api_key: str, found: str | type[HanaxError]) -> None:
    if isinstance(found, str):
        assert read_credential(authorization, api_key) == found
        return
    with pytest.raises(found):
        read_credential(authorization, api_key)
