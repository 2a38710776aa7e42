"""The API keys that a gateway knows: those of its files, and those of the metadata database.

Nothing is asked of the database while a request waits, but for a key that is not known yet. A task follows
the changes every POLL_S: a key that is revoked is refused everywhere within some seconds. While the database
does not answer, what was known last stands, and for STALE_S at most: then its keys are refused as
unavailable. So nobody is locked out by a short outage, and a gateway that is cut off does not let revoked
keys in for ever. Keys of files need no database.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from hanax.core.api_keys import key_digest, key_id_of, same_digest
from hanax.core.errors import HanaxError, InvalidArgument, Unavailable
from hanax.gateway.guard.caller import Caller
from hanax.gateway.guard.key_files import KeyFiles
from hanax.gateway.guard.rights import Rights, forced_of, grants_of, rate_of
from hanax.gateway.requests import parse_request
from hanax.metadata.api_keys.key import ApiKey
from hanax.metadata.api_keys.keys import ApiKeys

log = structlog.get_logger()

POLL_S: Final = 2.0
STALE_S: Final = 900.0
_TELL_USED_S: Final = 60.0
# Keys that nobody has, by their digests, so that they are not looked up again and again.
_MAX_STRANGERS: Final = 1_000
_STRANGER_S: Final = POLL_S
# Requests with unknown keys share what is asked of the database, so many times a second at most.
_MAX_WAITING: Final = 64
_APART_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Known:
    key: ApiKey
    caller: Caller


class KeyRing:
    def __init__(
        self,
        store: ApiKeys | None,
        files: KeyFiles,
        clock: Callable[[], float],
        now_us: Callable[[], int],
    ) -> None:
        """store: None without a metadata database. now_us: microseconds since 1970 UTC."""
        self._store = store
        self._files = files
        self._clock = clock
        self._now_us = now_us
        self._known: dict[str, _Known] = {}
        # Of the change that was taken up last, with its id: restored databases give revisions again.
        self._newest: tuple[int, str] | None = None
        self._confirmed_at: float | None = None
        self._used: dict[str, int] = {}
        self._strangers: OrderedDict[str, float] = OrderedDict()
        self._waiting = 0
        self._alone = asyncio.Lock()
        # An answer that is older than what is known would bring back a revoked key.
        self._polling = asyncio.Lock()
        self._failed_at = -math.inf
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._following = asyncio.create_task(self._follow(), name="keys")

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            with suppress(HanaxError):
                await self._tell_used()

    async def find(self, key: str) -> Caller | None:
        """Who has this key; None: nobody that may come in. Raises Unavailable where that can't be known."""
        digest = key_digest(key)
        if (caller := self._files.find(digest, self._now_us())) is not None:
            return caller
        key_id = key_id_of(key)
        if key_id is None or self._store is None:
            return None
        known = self._known.get(key_id)
        if known is None or not self._is_good(known.key, digest):
            await self._look(digest)
            known = self._known.get(key_id)
            if known is None or not self._is_good(known.key, digest):
                self._remember_stranger(digest)
                return None
        self._check_confirmed()
        self._used[key_id] = self._now_us()
        return known.caller

    async def poll(self) -> None:
        """Take up what has changed, one call after the other. Raises what the database raises."""
        await asyncio.to_thread(self._files.read_again)
        if self._store is None:
            return
        async with self._polling:
            began = self._clock()
            try:
                await self._take_changes(self._store)
            except HanaxError:
                self._failed_at = self._clock()
                raise
            self._confirmed_at = began
        now_us = self._now_us()
        for key_id in [id_ for id_, known in self._known.items() if _has_ended(known.key, now_us)]:
            del self._known[key_id]

    async def _take_changes(self, store: ApiKeys) -> None:
        """Those behind the newest that is known; all that there is, where that one has changed itself, or is
        not there any more: the database is an earlier one then, with keys and revisions of its own.
        """
        if self._newest is None:
            changed = await store.changed(-1)
        else:
            changed = await store.changed(self._newest[0] - 1)
            if not changed or (changed[0].revision, changed[0].id) != self._newest:
                if self._newest[1] not in {key.id for key in changed}:
                    log.info(
                        "all API keys are read anew: the last change that was followed is not there any more"
                    )
                changed = await store.changed(-1)
                self._known.clear()
                self._newest = None
        for key in changed:
            self._take(key)
        if changed:
            self._newest = (changed[-1].revision, changed[-1].id)

    def _take(self, key: ApiKey) -> None:
        if _has_ended(key, self._now_us()):
            self._known.pop(key.id, None)
            return
        try:
            rights = parse_request(Rights, dict(key.rights))
            caller = Caller(
                f"key {key.id} {key.name}", grants_of(rights), forced_of(rights.filter), rate_of(rights)
            )
        except InvalidArgument as error:
            # Of a newer version, perhaps: what is not understood allows nothing.
            log.error("an API key is left out", key=key.id, error=error.message)
            self._known.pop(key.id, None)
            return
        self._known[key.id] = _Known(key, caller)

    async def _look(self, digest: str) -> None:
        """For a key that is not known here: made or rotated a moment ago, ended, or nobody's.

        Raises Unavailable where that can't be known now.
        """
        arrived = self._clock()
        if arrived - self._strangers.get(digest, -math.inf) < _STRANGER_S:
            return
        if self._waiting >= _MAX_WAITING or arrived - self._failed_at < POLL_S:
            raise Unavailable("API keys that are new here can't be looked up now")
        self._waiting += 1
        try:
            async with self._alone:
                if self._confirmed_at is None or self._confirmed_at < arrived:
                    if self._failed_at >= arrived:
                        raise Unavailable("API keys that are new here can't be looked up now")
                    since_s = self._clock() - (self._confirmed_at or -math.inf)
                    await asyncio.sleep(max(0.0, _APART_S - since_s))
                    await self.poll()
        except HanaxError as error:
            raise Unavailable(f"API keys can't be looked up: {error.message}") from None
        finally:
            self._waiting -= 1

    def _remember_stranger(self, digest: str) -> None:
        self._strangers[digest] = self._clock()
        if len(self._strangers) > _MAX_STRANGERS:
            self._strangers.popitem(last=False)

    def _check_confirmed(self) -> None:
        if self._confirmed_at is None or self._clock() - self._confirmed_at > STALE_S:
            raise Unavailable("API keys can't be checked: the metadata database has not answered for long")

    def _is_good(self, key: ApiKey, digest: str) -> bool:
        now_us = self._now_us()
        if _has_ended(key, now_us):
            return False
        if same_digest(digest, key.digest):
            return True
        if key.previous_digest is None or (key.previous_until_us or 0) <= now_us:
            return False
        return same_digest(digest, key.previous_digest)

    async def _follow(self) -> None:
        told_at = self._clock()
        away = False
        while True:
            try:
                await self.poll()
                if self._clock() - told_at > _TELL_USED_S:
                    told_at = self._clock()
                    await self._tell_used()
                away = False
            except HanaxError as error:
                if not away:
                    log.warning("changes of API keys can't be followed", error=error.message)
                away = True
            except Exception:
                log.exception("changes of API keys can't be followed")
            await asyncio.sleep(POLL_S * random.uniform(0.75, 1.25))

    async def _tell_used(self) -> None:
        used, self._used = self._used, {}
        if used and self._store is not None:
            await self._store.used(used)


def _has_ended(key: ApiKey, now_us: int) -> bool:
    return key.revoked_at_us is not None or (key.expires_at_us is not None and key.expires_at_us <= now_us)
