"""How commands end: the one table of exit codes, which docs/cli.md holds as well."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from hanax.core.errors import (
    DeadlineExceeded,
    HanaxError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    PENDING = 3
    NOT_FOUND = 4
    UNREACHABLE = 5
    REFUSED = 6
    INTERRUPTED = 130


MEANINGS: Final = {
    Exit.DONE: "done; what was looked at is well",
    Exit.FAILED: "failed, or found something that is not well",
    Exit.USAGE: "wrong usage: an option, a setting, the configuration, or a value that the gateway refuses",
    Exit.PENDING: "`hana-x-vector status`: no stack runs; `hana-x-migrate status`: something is pending",
    Exit.NOT_FOUND: "what was named is not there: a collection, a point, a model, a service, a profile",
    Exit.UNREACHABLE: "the gateway, or a part that it needs, does not answer or is too busy: worth a retry",
    Exit.REFUSED: "no API key, one that is not known, or one that may not do this",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}

# The first that fits.
_OF_ERRORS: Final[tuple[tuple[type[HanaxError], Exit], ...]] = (
    (InvalidArgument, Exit.USAGE),
    (NotFound, Exit.NOT_FOUND),
    (Unauthenticated, Exit.REFUSED),
    (PermissionDenied, Exit.REFUSED),
    (Unavailable, Exit.UNREACHABLE),
    (ResourceExhausted, Exit.UNREACHABLE),
    (DeadlineExceeded, Exit.UNREACHABLE),
    (HanaxError, Exit.FAILED),
)


def exit_of(error: HanaxError) -> Exit:
    return next(code for kind, code in _OF_ERRORS if isinstance(error, kind))
