"""One stack for all tests of the commands: it is dear. Collections have names of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from unittest.mock import patch

import pytest
import typer

from tests.command_runs import Ran, run
from tests.integration.local_stack import LocalStack

Command = Callable[..., Ran]


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    made = LocalStack(tmp_path_factory.mktemp("commands") / "data")
    try:
        made.up()
        yield made
    finally:
        made.end()


@pytest.fixture
def command(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Runs a command on the stack."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HANAX_")}
    settings = {
        "HANAX_DATA_DIR": str(stack.layout.root),
        "XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("config")),
    }

    def ask(app: typer.Typer, *words: str) -> Ran:
        return run(app, *words)

    with patch.dict("os.environ", {**kept, **settings}, clear=True):
        yield ask
