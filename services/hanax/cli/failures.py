"""How a command ends: errors of the user's in one line, and exit codes that scripts can trust."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Final

import structlog
import typer
from rich.console import Console

from hanax.cli.exits import Exit, exit_of
from hanax.core.errors import (
    FailedPrecondition,
    HanaxError,
    Internal,
    Unauthenticated,
    error_from_code,
    error_types,
)
from hxp_vector_client import VectorError

_HINTS: Final = {
    Internal: " (a defect: please report it)",
    Unauthenticated: "; say --api-key-file, or set HANAX_API_KEY_FILE or a profile",
}


def exit_code(app: typer.Typer, words: Sequence[str] | None = None) -> int:
    """Run the command line, or these words, and return how it ended: see `Exit`."""
    before = structlog.get_config()
    _keep_output_clean()
    try:
        app(words)
        sys.stdout.flush()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.FAILED
    except (HanaxError, VectorError) as failure:
        error = plain_error(failure)
        complain(error.message + _HINTS.get(type(error), ""))
        return exit_of(error)
    except BrokenPipeError:
        # Else the interpreter would try to flush once more at its end, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except OSError as error:
        complain(str(error))
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    finally:
        structlog.configure(**before)
    return Exit.DONE


def plain_error(failure: HanaxError | VectorError) -> HanaxError:
    """What a gateway refuses, or a client of it can't do, as an error of ours: the nearest by its code."""
    if isinstance(failure, HanaxError):
        return failure
    known = {kind.code for kind in error_types()}
    kinds = (kind.default_code for kind in type(failure).__mro__ if issubclass(kind, VectorError))
    for code in (failure.code, *kinds):
        if code in known:
            return error_from_code(code, failure.message, failure.details)
    return FailedPrecondition(failure.message, **failure.details)


def complain(message: str) -> None:
    Console(stderr=True).print(
        f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True
    )


def remark(message: str) -> None:
    """Something that is no error, beside the output."""
    Console(stderr=True).print(message, markup=False, highlight=False, soft_wrap=True)


def _keep_output_clean() -> None:
    """Libraries of ours log for services; of a command's output, programs read every line."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
