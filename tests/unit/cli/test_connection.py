"""Which gateway is asked, and with what key: options before variables before the profile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hanax.cli.connection import Asking, Connection, Showing
from hanax.cli.db.app import app
from hanax.cli.printing import Format
from hanax.core.errors import InvalidArgument, NotFound
from hxp_vector_client import errors
from tests.command_runs import run

CONFIG = """
profile = "staging"

[profiles.staging]
url = "https://staging.example.com"
api_key = "hxk_staging"
format = "yaml"

[profiles.production]
url = "https://vectors.example.com/"
api_key_file = "KEY_FILE"
timeout_s = 5
"""

Set = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, without a stack; the file is where it usually is."""
    for name in ("HANAX_API_URL", "HANAX_API_KEY", "HANAX_API_KEY_FILE", "HANAX_PROFILE", "HANAX_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HANAX_DATA_DIR", str(tmp_path / "no-stack"))
    key = tmp_path / "production.key"
    key.write_text("hxk_production\n")
    file = tmp_path / "hana-x-vector" / "config.toml"
    file.parent.mkdir()
    file.write_text(CONFIG.replace("KEY_FILE", str(key)))
    file.chmod(0o600)
    return file


def key_of(connection: Connection) -> str | None:
    key = connection.access.api_key
    return None if key is None else key.get_secret_value()


def test_without_anything_the_file_chooses() -> None:
    made = Showing().connection()
    assert (made.url, made.origin, made.profile) == (
        "https://staging.example.com",
        "profile staging",
        "staging",
    )
    assert (key_of(made), made.form) == ("hxk_staging", Format.YAML)


def test_without_a_file_it_is_this_machine(surroundings: Path) -> None:
    surroundings.unlink()
    made = Showing().connection()
    assert (made.url, made.profile, key_of(made), made.form) == (
        "http://127.0.0.1:8000",
        "",
        None,
        Format.TABLE,
    )


def test_variables_win_over_the_files_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANAX_API_URL", "http://other:8000")
    monkeypatch.setenv("HANAX_API_KEY", "hxk_variable")
    made = Asking().connection()
    assert (made.url, made.origin, key_of(made)) == ("http://other:8000", "HANAX_API_URL", "hxk_variable")


def test_options_win_over_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANAX_API_URL", "http://other:8000")
    monkeypatch.setenv("HANAX_API_KEY", "hxk_variable")
    monkeypatch.setenv("HANAX_PROFILE", "staging")
    named = Showing(profile="production", form=Format.JSON).connection()
    assert (named.url, key_of(named), named.form) == (
        "https://vectors.example.com",
        "hxk_production",
        Format.JSON,
    )
    assert named.access.timeout_s == 5
    (tmp_path / "k").write_text("hxk_option")
    option = Asking(api="http://third:1", api_key_file=tmp_path / "k").connection()
    assert (option.url, option.origin, key_of(option)) == ("http://third:1", "--api", "hxk_option")


def test_a_profiles_key_is_for_no_other_gateway() -> None:
    assert key_of(Asking(api="http://elsewhere.example.com").connection()) is None
    assert key_of(Asking(api="http://elsewhere.example.com", profile="production").connection()) is None


def test_keys_are_never_shown() -> None:
    made = Asking(profile="staging").connection()
    assert "hxk_" not in repr(made)
    for form in ("table", "json", "yaml"):
        listed = run(app, "profiles", "--format", form)
        assert listed.code == 0
        assert "staging.example.com" in listed.out
        assert "hxk_" not in listed.out + listed.err


def test_profiles_are_listed() -> None:
    assert run(app, "profiles", "--format", "json").json == [
        {"name": "staging", "url": "https://staging.example.com", "key": True, "chosen": True},
        {"name": "production", "url": "https://vectors.example.com/", "key": True, "chosen": False},
    ]


def test_a_file_with_a_key_that_others_may_read_is_remarked(surroundings: Path) -> None:
    surroundings.chmod(0o644)
    listed = run(app, "profiles")
    assert (listed.code, "chmod 600" in listed.err) == (0, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profile = ", "config.toml: "),
        ('[profiles.a]\nurll = "x"', "profiles.a.urll: Extra inputs"),
        ('[profiles.a]\ntimeout_s = "soon"', "profiles.a.timeout_s"),
        ('[profiles.a]\napi_key = "secret-one"\napi_key_file = "f"', "expected api_key or api_key_file"),
        ("profiles = 5", "profiles: "),
    ],
)
def test_a_damaged_file_is_named_by_the_place_and_tells_no_key(
    surroundings: Path, text: str, said: str
) -> None:
    surroundings.write_text(text)
    ended = run(app, "profiles")
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "secret-one" not in ended.err
    assert len(ended.err.splitlines()) == 1


def test_what_is_named_and_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no profile 'nobody'; there is: production, staging"):
        Asking(profile="nobody").connection()
    with pytest.raises(InvalidArgument, match="is not there"):
        Asking(config=tmp_path / "other.toml").connection()
    with pytest.raises(InvalidArgument, match="can't be read"):
        Asking(api_key_file=tmp_path / "no.key").connection()
    (tmp_path / "empty.key").touch()
    with pytest.raises(InvalidArgument, match="is empty"):
        Asking(api_key_file=tmp_path / "empty.key").connection()


@pytest.mark.parametrize(
    "url", ["vectors.example.com", "ftp://x", "http://", "http://x:99999", "http://x:port"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises((InvalidArgument, errors.InvalidArgument)):
        Asking(api=url).connection().client()


@pytest.mark.parametrize("key", ["two words", "schlüssel", "tab\there"])
def test_keys_that_are_none_are_refused_without_being_told(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANAX_API_KEY", key)
    with pytest.raises(errors.InvalidArgument) as refused:
        Asking(api="http://127.0.0.1:1").connection().client()
    assert key not in refused.value.message


@pytest.mark.parametrize("terminal", [True, False])
def test_who_sits_and_waits_is_told_why_once(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)

    async def ask() -> None:
        async with Asking(api="http://127.0.0.1:9").connection().client(patience_s=2.0) as client:
            await client.count("docs")

    with pytest.raises(errors.ConnectionFailed):
        asyncio.run(ask())
    told = capsys.readouterr().err.splitlines()
    assert [("127.0.0.1:9 does not answer" in line, "up to 2 s" in line) for line in told] == (
        [(True, True)] if terminal else []
    )


def test_a_made_connection_is_closed() -> None:
    async def ask() -> None:
        async with Asking(api="http://127.0.0.1:1").connection().client():
            pass

    asyncio.run(ask())
