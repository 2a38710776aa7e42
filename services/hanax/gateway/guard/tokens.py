"""JSON Web Tokens of an identity provider, as callers.

Who a token is of, what it may do and which points are its own stand in its claims; which claims, in the
settings. A claim that is expected and missing allows nothing. RFC 7519; RFC 8725 for what is refused: no
token without a signature, no algorithm but those that were allowed, none that is symmetric.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.exceptions import PyJWTError

from hanax.core.errors import FailedPrecondition, InvalidArgument, Unauthenticated
from hanax.gateway.guard.caller import Caller, Forced
from hanax.gateway.guard.jwks import SigningKeys
from hanax.gateway.guard.rights import forced_of
from hanax.gateway.guard.scopes import Grant, Scope, grant_of

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
MAX_TOKEN_LENGTH: Final = 16_384
# Checking a signature costs some 50 us; a token that was good is remembered for so long.
_REMEMBER_S: Final = 60.0
_MAX_REMEMBERED: Final = 2_048


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Names of claims; "" for one that is not looked at.

    scopes_claim: a list, or words; of them `<prefix>read`, `<prefix>write` and `<prefix>admin` count.
    collections_claim: names and beginnings of names with `*`; "": all. tenant_claim: the value that
    `tenant_field` has in all metadata that the caller reads or writes.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    leeway_s: float = 30.0
    scopes_claim: str = "scope"
    scopes_prefix: str = ""
    collections_claim: str = ""
    tenant_claim: str = ""
    tenant_field: str = "tenant"

    def __post_init__(self) -> None:
        """Raises FailedPrecondition."""
        if not self.issuer or not self.audience:
            raise FailedPrecondition(
                "HANAX_JWT_ISSUER and HANAX_JWT_AUDIENCE: expected both with HANAX_JWT_JWKS"
            )
        if not self.algorithms or not ALGORITHMS.issuperset(self.algorithms):
            known = ", ".join(sorted(ALGORITHMS))
            raise FailedPrecondition(f"HANAX_JWT_ALGORITHMS: expected some of {known}")
        if self.tenant_claim:
            try:
                forced_of({self.tenant_field: "x"})
            except InvalidArgument as error:
                raise FailedPrecondition(f"HANAX_JWT_TENANT_FIELD: {error.message}") from None


class Tokens:
    def __init__(
        self,
        rules: TokenRules,
        keys: SigningKeys,
        clock: Callable[[], float],
        now_us: Callable[[], int],
    ) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock
        self._now_us = now_us
        # By the token's digest: the caller, and until when on `clock`.
        self._remembered: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    async def find(self, token: str) -> Caller:
        """Raises Unauthenticated, with a reason that the token's owner may know; Unavailable without keys."""
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        remembered = self._remembered.get(digest)
        if remembered is not None and self._clock() < remembered[1]:
            return remembered[0]
        claims = await self._checked(token)
        caller = self._caller(claims)
        left_s = float(claims["exp"]) - self._now_us() / 1e6 + self._rules.leeway_s
        self._remembered[digest] = (caller, self._clock() + min(_REMEMBER_S, left_s))
        if len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return caller

    async def close(self) -> None:
        await self._keys.close()

    async def _checked(self, token: str) -> Mapping[str, Any]:
        rules = self._rules
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated(f"the token has more than {MAX_TOKEN_LENGTH} characters")
        try:
            header = jwt.get_unverified_header(token)
        except PyJWTError:
            raise Unauthenticated("the token is no JSON Web Token") from None
        if header.get("alg") not in rules.algorithms:
            raise Unauthenticated(f"the token's alg: expected {' or '.join(rules.algorithms)}")
        key = await self._keys.find(str(header.get("kid", "")))
        if key is None:
            raise Unauthenticated("the token is signed with a key that the issuer does not publish")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(rules.algorithms),
                issuer=rules.issuer,
                audience=rules.audience,
                leeway=rules.leeway_s,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except PyJWTError as error:
            # What PyJWT says of a claim, and of no key: "Signature has expired".
            raise Unauthenticated(f"the token is refused: {error}") from None
        return claims

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        rules = self._rules
        scopes = [
            word[len(rules.scopes_prefix) :]
            for word in _words(claims.get(rules.scopes_claim))
            if word.startswith(rules.scopes_prefix)
        ]
        known = [scope for scope in scopes if scope in set(Scope)]
        collections = ["*"]
        if rules.collections_claim:
            collections = list(_words(claims.get(rules.collections_claim)))
        grants: tuple[Grant, ...] = ()
        if known and collections:
            try:
                grants = (grant_of(known, collections, "token"),)
            except InvalidArgument as error:
                raise Unauthenticated(f"the token is refused: {error.message}") from None
        forced = self._forced(claims)
        name = f"token {str(claims['sub'])[:64]!a}"
        if forced is not None:
            # One person may belong to several.
            name += f" {str(forced[rules.tenant_field])[:32]!a}"
        return Caller(name, grants, forced, identity=_identity(rules.issuer, claims["sub"], forced))

    def _forced(self, claims: Mapping[str, Any]) -> Forced | None:
        claim = self._rules.tenant_claim
        if not claim:
            return None
        if claim not in claims:
            raise Unauthenticated(f"the token is refused: it has no claim {claim!r}")
        try:
            return forced_of({self._rules.tenant_field: claims[claim]})
        except InvalidArgument:
            raise Unauthenticated(
                f"the token is refused: claim {claim!r}: expected a text or a number"
            ) from None


def _identity(issuer: str, subject: str, forced: Forced | None) -> str:
    """Of whom a token is, whole: names in logs are cut."""
    told = json.dumps([issuer, subject, forced], sort_keys=True)
    return f"token {hashlib.sha256(told.encode()).hexdigest()}"


def _words(claim: object) -> Iterable[str]:
    """A list of texts, or words in one text (RFC 8693, 4.2)."""
    if isinstance(claim, str):
        return claim.split()
    if isinstance(claim, list):
        return [word for word in claim if isinstance(word, str)]
    return []
