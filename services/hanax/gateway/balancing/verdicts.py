"""What a failed attempt says of the endpoint, and whether another attempt may help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hanax.core.errors import (
    CollectionNotFound,
    DataLoss,
    DeadlineExceeded,
    HanaxError,
    PartialWrite,
    ResourceExhausted,
    StorageFull,
    Unavailable,
    UpstreamFailed,
)

# Who asks for a longer one is tried again all the same: it may have been a date of a wrong clock.
LONGEST_REST_S: Final = 300.0
# Of one that has too much to do and does not say until when.
_SHORT_REST_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Verdict:
    """retry: worth another attempt. elsewhere: but at an endpoint that was not asked yet.

    blames: the endpoint failed; otherwise it answered, though with a refusal.
    """

    retry: bool
    elsewhere: bool
    blames: bool


_FINAL: Final = Verdict(retry=False, elsewhere=False, blames=False)
_FAILED: Final = Verdict(retry=True, elsewhere=False, blames=True)
# A wrong key or certificate: that endpoint's own trouble, and there to stay.
_MISBUILT: Final = Verdict(retry=True, elsewhere=True, blames=True)
# Told when to come again, a request waits. Otherwise it does not press the endpoint, and others pass it by.
_RESTING: Final = Verdict(retry=True, elsewhere=False, blames=False)
_BUSY: Final = Verdict(retry=True, elsewhere=True, blames=False)
# A replica whose files are damaged, or that has not opened the shard yet: its node may be well. Or a server
# that does not like these texts: another may, and to other texts it is as good as ever.
_OTHER_COPY: Final = Verdict(retry=True, elsewhere=True, blames=False)

# HTTP statuses of servers that say the request is wrong.
_REFUSES_REQUEST: Final = frozenset({400, 422})


def judge(error: HanaxError) -> Verdict:
    """Errors of the request itself are final: they would be the same anywhere."""
    match error:
        case PartialWrite() | StorageFull():
            return _FINAL
        case UpstreamFailed():
            if error.details.get("status") in _REFUSES_REQUEST:
                return _OTHER_COPY
            return _FAILED if error.details.get("retryable", True) else _MISBUILT
        case Unavailable() | DeadlineExceeded():
            # Not retryable: it is the gateway that lacks something.
            return _FAILED if error.details.get("retryable", True) else _FINAL
        case ResourceExhausted():
            return _RESTING if "retry_after_s" in error.details else _BUSY
        case DataLoss() | CollectionNotFound():
            return _OTHER_COPY
        case _:
            return _FINAL


def rest_s(error: HanaxError) -> float:
    """How long the endpoint is to be left alone: as it asked; 0: it has no need."""
    told = error.details.get("retry_after_s", 0.0)
    if isinstance(told, int | float) and told > 0:
        return min(float(told), LONGEST_REST_S)
    return _SHORT_REST_S if isinstance(error, ResourceExhausted) else 0.0
