"""Commands run in this process as their console scripts run them: exit codes, and streams apart."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import orjson
import typer

from hanax.cli.failures import exit_code


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed. Fails where that is not JSON."""
        assert self.code in (0, 1), self
        return orjson.loads(self.out)


def run(app: typer.Typer, *words: str, environment: Mapping[str, str] | None = None) -> Ran:
    """Run to its end. Nobody sits at it: standard input is empty."""
    with _streams() as (out, err), patch.dict("os.environ", dict(environment or {})):
        code = exit_code(app, list(words))
        out.flush()
        err.flush()
        return Ran(int(code), _text(out), _text(err))


def _text(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@contextmanager
def _streams() -> Iterator[tuple[io.TextIOWrapper, io.TextIOWrapper]]:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        patch.object(sys, "stdout", out),
        patch.object(sys, "stderr", err),
        patch.object(sys, "stdin", io.StringIO()),
    ):
        yield out, err
