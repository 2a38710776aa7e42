"""What travels beside messages: metadata of a call, trailing metadata of its answer, and its refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import grpc

from hanax.core.errors import HanaxError
from hanax.gateway.cache.control import read_cache_control
from hanax.gateway.calls import Call
from hanax.gateway.exchange_headers import request_id_of, retry_after_s, server_timing
from hanax.gateway.guard.guard import Guard, read_credential
from hanax.rpc.errors import status_from_error

if TYPE_CHECKING:
    from grpc import aio

    Context = aio.ServicerContext[Any, Any]

# Positions that an error tells: a status travels in headers.
_MOST_INDEXES: Final = 300

_JOB_FORM: Final = re.compile(r"[\x21-\x7e]{1,64}")
_GZIP: Final = re.compile(r"(?:^|[,\s])gzip(?:$|[,;\s])")


def open_call(context: Context, clock: Callable[[], float]) -> Call:
    """The call of a message, from what its client says beside it."""
    given: dict[str, Any] = dict(context.invocation_metadata() or ())
    control = given.get("cache-control")
    call = Call(
        request_id_of(given.get("x-request-id", "")),
        clock,
        read_cache_control(control.encode() if isinstance(control, str) else None),
        _address(context.peer()),
    )
    left_s = context.time_remaining()
    if left_s is not None:
        call.limit(left_s)
    return call


async def compress_if_wished(context: Context) -> None:
    """gRPC's clients say what they understand; that they wish it is said as over HTTP."""
    for key, value in context.invocation_metadata() or ():
        if key == "accept-encoding" and isinstance(value, str) and _GZIP.search(value):
            context.set_compression(grpc.Compression.Gzip)
            # With the answer itself they would be sent without it.
            await context.send_initial_metadata(())


async def enter(call: Call, context: Context, guard: Guard) -> None:
    """Find out who calls: whoever the guard knows, and the job that one of the platform's services works on.

    Raises what `Guard.enter` raises.
    """
    given: dict[str, Any] = dict(context.invocation_metadata() or ())
    if guard.enabled:
        authorization, api_key = (given.get(name, "") for name in ("authorization", "x-api-key"))
        await guard.enter(call, read_credential(str(authorization), str(api_key)))
    job = given.get("x-hanax-job", "")
    # Anybody could say so.
    believed = not guard.enabled or call.caller.is_service
    if believed and isinstance(job, str) and _JOB_FORM.fullmatch(job):
        call.actor = f"job {job}"


def _address(peer: str) -> str:
    """From where somebody calls."""
    kind, _, address = peer.partition(":")
    return f"address {address.rpartition(':')[0].strip('[]')}" if kind in ("ipv4", "ipv6") else "anonymous"


def trailing(call: Call) -> tuple[tuple[str, str | bytes], ...]:
    told: tuple[tuple[str, str | bytes], ...]
    told = (("x-request-id", call.request_id), ("server-timing", server_timing(call)))
    if call.rate is not None:
        told += call.rate.headers()
    if call.replayed:
        told += (("idempotent-replayed", "true"),)
    return told if call.cached_age_s is None else (*told, ("age", str(int(call.cached_age_s))))


async def refuse(context: Context, call: Call, error: HanaxError) -> None:
    indexes = error.details.get("indexes", ())
    if len(indexes) > _MOST_INDEXES:
        error = type(error)(error.message, **{**error.details, "indexes": indexes[:_MOST_INDEXES]})
    status = status_from_error(error, retry_after_s(error))
    told: Any = (*trailing(call), *(status.trailing_metadata or ()))
    await context.abort(status.code, status.details or "", told)
