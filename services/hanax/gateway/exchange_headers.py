"""What every door reads from the headers of a request, and tells in those of its answer."""

from __future__ import annotations

import math
import re
import uuid
from typing import Final

from hanax.core.errors import HanaxError
from hanax.gateway.calls import Call
from hanax.rpc.errors import http_status

_ID_FORM: Final = re.compile(r"[\x20-\x7e]{1,128}")

# A client that was refused for now: soon enough for a restart, late enough not to press.
_RETRY_AFTER_S: Final = 1
# What an upstream may ask for; a client that obeyed more would look as if it had hung.
_LONGEST_RETRY_S: Final = 3_600
_RETRY_STATUSES: Final = frozenset({429, 503})


def request_id_of(given: str) -> str:
    """The client's own id, or a new one where that is none."""
    return given if _ID_FORM.fullmatch(given) else uuid.uuid4().hex


def retry_after_s(error: HanaxError) -> int | None:
    """Whole seconds after which the request may be sent again, as known for this error; None: don't."""
    after_s = error.details.get("retry_after_s")
    if isinstance(after_s, int | float) and 0 < after_s <= _LONGEST_RETRY_S:
        return math.ceil(after_s)
    if "retry_after_s" in error.details or http_status(error) in _RETRY_STATUSES:
        return _RETRY_AFTER_S
    return None


def server_timing(call: Call) -> str:
    """`gateway` is the total less the waits for others, `engine` the longest time inside a shard."""
    total_s = call.elapsed_s()
    own_s = total_s - sum(call.waited_s.values())
    parts = [f"total;dur={total_s * 1e3:.3f}", f"gateway;dur={own_s * 1e3:.3f}"]
    parts += [f"{name};dur={seconds * 1e3:.3f}" for name, seconds in call.waited_s.items()]
    if call.engine_s:
        parts.append(f"engine;dur={call.engine_s * 1e3:.3f}")
    return ", ".join(parts)
