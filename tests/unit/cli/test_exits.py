"""Exit codes: one table, which docs/cli.md holds as well, and a code for every error that there is."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from hanax.cli.exits import MEANINGS, Exit, exit_of
from hanax.cli.failures import plain_error
from hanax.core import errors
from hanax.core.errors import HanaxError
from hxp_vector_client import VectorError
from hxp_vector_client import errors as told
from hxp_vector_client.server_errors import BY_CODE
from tests.command_runs import run

DOCUMENT = Path(__file__).parents[3] / "docs" / "cli.md"


def test_the_document_holds_the_table() -> None:
    table = "| code | meaning |\n|---|---|\n"
    table += "".join(f"| {code.value} | {MEANINGS[code]} |\n" for code in Exit)
    assert table in DOCUMENT.read_text(), f"put this into docs/cli.md:\n\n{table}"


def _all_errors(kind: type[HanaxError]) -> list[type[HanaxError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in _all_errors(child))]


def test_every_error_ends_with_a_code_of_failure() -> None:
    assert {exit_of(kind("it failed")) for kind in _all_errors(HanaxError)} == {
        Exit.FAILED,
        Exit.USAGE,
        Exit.NOT_FOUND,
        Exit.UNREACHABLE,
        Exit.REFUSED,
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CollectionExists("m"), 1),
        (errors.FailedPrecondition("m"), 1),
        (errors.DataLoss("m"), 1),
        (errors.Internal("m"), 1),
        (errors.DimensionMismatch("m"), 2),
        (errors.InvalidMigration("m"), 2),
        (errors.CollectionNotFound("m"), 4),
        (errors.ModelNotFound("m"), 4),
        (errors.Unavailable("m"), 5),
        (errors.DatabaseUnavailable("m"), 5),
        (errors.RateLimited("m"), 5),
        (errors.DeadlineExceeded("m"), 5),
        (errors.Unauthenticated("m"), 6),
        (errors.PermissionDenied("m"), 6),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, HanaxError) else str(one),
)
def test_errors_and_their_codes(error: HanaxError, code: int) -> None:
    assert exit_of(error) == code


def test_what_a_gateway_refuses_ends_as_the_same_error_of_ours() -> None:
    ours = {kind.code: kind for kind in errors.error_types()}
    for code, kind in BY_CODE.items():
        made = plain_error(kind("m", details={"n": 1}))
        assert (type(made), made.message, made.details) == (ours[code], "m", {"n": 1})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (told.ConnectionFailed("m"), 5),
        (told.TimedOut("m"), 5),
        (told.BadAnswer("m"), 1),
        (told.ClientClosed("m"), 1),
        # Of a gateway that is newer.
        (VectorError("m", code="too_new"), 1),
        (told.CollectionNotFound("m", code="collection_gone"), 4),
    ],
    ids=lambda one: one.code if isinstance(one, VectorError) else str(one),
)
def test_the_clients_own_errors_end_as_the_nearest_of_ours(error: VectorError, code: int) -> None:
    made = plain_error(error)
    assert (exit_of(made), made.message) == (code, "m")
    assert type(made) is not errors.Internal, "it is no defect of ours"


app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def fail(how: str) -> None:
    match how:
        case "error":
            raise errors.CollectionNotFound("there is no collection 'docs'")
        case "defect":
            raise errors.Internal("it answered nonsense")
        case "gateway":
            raise told.Unauthenticated("expected an API key")
        case "key":
            raise errors.Unauthenticated("expected an API key")
        case "disk":
            raise OSError(28, "No space left on device", "/data/x")
        case "interrupt":
            raise KeyboardInterrupt
        case "code":
            raise typer.Exit(3)


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("error", 4, "error: there is no collection 'docs'\n"),
        ("defect", 1, "error: it answered nonsense (a defect: please report it)\n"),
        (
            "key",
            6,
            "error: expected an API key; say --api-key-file, or set HANAX_API_KEY_FILE or a profile\n",
        ),
        (
            "gateway",
            6,
            "error: expected an API key; say --api-key-file, or set HANAX_API_KEY_FILE or a profile\n",
        ),
        ("disk", 1, "error: [Errno 28] No space left on device: '/data/x'\n"),
        ("code", 3, ""),
        ("well", 0, ""),
    ],
)
def test_errors_are_one_line_on_standard_error(how: str, code: int, said: str) -> None:
    assert run(app, how) == (code, "", said)


def test_an_interrupt_is_130() -> None:
    ended = run(app, "interrupt")
    assert (ended.code, "Traceback" in ended.err) == (130, False)


def test_wrong_usage_is_2_and_says_what_is_right() -> None:
    ended = run(app, "one", "too-many")
    assert (ended.code, ended.out) == (2, "")
    assert "Usage:" in ended.err
