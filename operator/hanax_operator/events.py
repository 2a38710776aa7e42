"""Kubernetes events: what `kubectl describe` tells people, once for each thing that happened.

An event's name follows from what it says, so that an operator that was restarted finds its own: the API
server refuses a second one of the name.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

import structlog

from hanax.core.errors import AlreadyExists, HanaxError
from hanax.core.resources.conditions import timestamp
from hanax_operator.api import Api
from hanax_operator.objects import EVENT, Manifest, uid_of

log = structlog.get_logger()

# The API server forgets events after an hour. What is said again later than this is news again.
_NEWS_AFTER_S = 1_800.0
_REMEMBERED = 10_000
_MESSAGE_LETTERS = 1_000


class Events:
    """`clock_s` is monotonic, `now_us` tells the time of day."""

    def __init__(
        self, api: Api, reporter: str, clock_s: Callable[[], float], now_us: Callable[[], int]
    ) -> None:
        self._api = api
        self._reporter = reporter
        self._clock_s = clock_s
        self._now_us = now_us
        self._told: OrderedDict[str, float] = OrderedDict()

    async def tell(
        self, about: Manifest, kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Never raises what the API server says: an event is not worth a failed reconcile."""
        message = message[:_MESSAGE_LETTERS]
        text = "\0".join((uid_of(about), kind, reason, message))
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        now = self._clock_s()
        if now - self._told.get(digest, -_NEWS_AFTER_S) < _NEWS_AFTER_S:
            return
        self._told[digest] = now
        self._told.move_to_end(digest)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        try:
            await self._api.create(self._manifest(about, kind, (reason, message), digest))
        except AlreadyExists:
            return
        except HanaxError as error:
            log.warning("event not written", reason=reason, error=error.message)

    def _manifest(self, about: Manifest, kind: str, what: tuple[str, str], digest: str) -> Manifest:
        metadata = about["metadata"]
        at = timestamp(self._now_us())
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {
                "name": f"{metadata['name'][:200]}.{digest}",
                "namespace": metadata["namespace"],
            },
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata.get("resourceVersion", ""),
            },
            "type": kind,
            "reason": what[0],
            "message": what[1],
            "source": {"component": self._reporter},
            "reportingComponent": self._reporter,
            "reportingInstance": self._reporter,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
