"""How a command ends: errors of the user's in one line, and exit codes that scripts can trust."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import structlog
import typer
from rich.console import Console

from hanax.core.errors import HanaxError, InvalidArgument


def exit_code(app: typer.Typer, words: Sequence[str] | None = None) -> int:
    """Run the command line, or these words, and return how it ended.

    0: done; 1: an error, told in one line; 2: wrong usage; 130: interrupted.
    """
    before = structlog.get_config()
    _keep_output_clean()
    try:
        app(words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except HanaxError as error:
        complain(error.message)
        return 2 if isinstance(error, InvalidArgument) else 1
    except OSError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        structlog.configure(**before)
    return 0


def complain(message: str) -> None:
    Console(stderr=True).print(
        f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True
    )


def _keep_output_clean() -> None:
    """Libraries of ours log for services; of a command's output, programs read every line."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
