"""Keys come from files that may change, else from the environment; errors name them, not their values."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hanax.core.errors import Unavailable
from hanax.core.model_routes import SecretFile
from hanax.gateway.models.secrets import Secrets, variable

SECRET = SecretFile(name="open-ai", key="api.token")


def write(folder: Path, value: bytes) -> Path:
    file = folder / SECRET.name / SECRET.key
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(value)
    return file


def test_a_file_is_read_without_the_line_end_that_editors_leave(tmp_path: Path) -> None:
    write(tmp_path, b"sk-1\r\n")
    assert Secrets(tmp_path, {}).value(SECRET) == "sk-1"


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, {})
    file = write(tmp_path, b"sk-1")
    assert secrets.value(SECRET) == "sk-1"
    # Same size, same folder: as an editor writes it.
    stamp = file.stat().st_mtime_ns
    file.write_bytes(b"sk-2")
    os.utime(file, ns=(stamp, stamp + 1_000))
    assert secrets.value(SECRET) == "sk-2"
    # Another file with the times of the old one: as a mounted Secret is replaced.
    stamp = file.stat().st_mtime_ns
    other = file.with_name("other")
    other.write_bytes(b"sk-3")
    os.utime(other, ns=(stamp, stamp))
    other.rename(file)
    assert secrets.value(SECRET) == "sk-3"
    file.unlink()
    with pytest.raises(Unavailable):
        secrets.value(SECRET)


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, {})
    file = write(tmp_path, b"sk-1")
    secrets.value(SECRET)
    status = file.stat()
    file.write_bytes(b"sk-2")
    os.utime(file, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert secrets.value(SECRET) == "sk-1"
    # What no model names any more is forgotten.
    secrets.retain([])
    assert secrets.value(SECRET) == "sk-2"


def test_without_a_file_it_is_a_variable(tmp_path: Path) -> None:
    environment = {"HANAX_SECRET_OPEN_AI_API_TOKEN": "sk-env\n"}
    assert variable(SECRET) in environment
    assert Secrets(tmp_path, environment).value(SECRET) == "sk-env"
    assert Secrets(None, environment).value(SECRET) == "sk-env"
    write(tmp_path, b"sk-file")
    assert Secrets(tmp_path, environment).value(SECRET) == "sk-file"


def test_a_secret_that_is_not_there_is_named_with_where_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as raised:
        Secrets(tmp_path, {}).value(SECRET)
    assert raised.value.details == {"secret": "open-ai", "key": "api.token", "retryable": False}
    for part in ("open-ai", "api.token", "HANAX_SECRETS_DIR", "HANAX_SECRET_OPEN_AI_API_TOKEN"):
        assert part in raised.value.message


@pytest.mark.parametrize("value", [b"", b" \n", b"two words", b"two\nl", b"\xc3\xb6", b"\x00", b"x" * 8_193])
def test_what_no_header_can_hold_is_no_key_and_is_not_told(tmp_path: Path, value: bytes) -> None:
    write(tmp_path, value)
    with pytest.raises(Unavailable) as raised:
        Secrets(tmp_path, {}).value(SECRET)
    assert "two" not in raised.value.message
    assert len(raised.value.message) < 300


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc", "a\\b", "a\n"])
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("sk-1")
    for secret in (SecretFile(name=name, key="outside"), SecretFile(name="folder", key=name)):
        with pytest.raises(Unavailable, match="no name"):
            Secrets(tmp_path / "folder", {}).value(secret)


def test_a_folder_in_its_place_is_said_to_be_unreadable(tmp_path: Path) -> None:
    (tmp_path / SECRET.name / SECRET.key).mkdir(parents=True)
    with pytest.raises(Unavailable, match="can't be read"):
        Secrets(tmp_path, {}).value(SECRET)
