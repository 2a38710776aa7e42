"""Generated files hold what they shall; the check says which do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.generated import write_or_check


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("current", "outdated", "leftover"):
        (tmp_path / name).write_text(name)
    return tmp_path


def _texts(folder: Path) -> dict[Path, str]:
    return {folder / "current": "current", folder / "outdated": "new", folder / "sub" / "missing": "größer\n"}


def test_the_check_names_what_is_not_current_and_writes_nothing(folder: Path) -> None:
    with pytest.raises(SystemExit) as told:
        write_or_check(_texts(folder), check=True, there=list(folder.iterdir()))
    assert (
        told.value.code == "generated files are stale; run `make gen`:\n  leftover\n  outdated\n  sub/missing"
    )
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "current": "current",
        "outdated": "outdated",
        "leftover": "leftover",
    }


def test_writing_mends_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_or_check(_texts(folder), check=False, there=list(folder.iterdir()))
    assert capsys.readouterr().out == "removed leftover\nwrote outdated\nwrote sub/missing\n"
    assert {path: path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()} == _texts(folder)
    write_or_check(_texts(folder), check=True, there=[path for path in folder.rglob("*") if path.is_file()])


def test_a_current_file_is_not_written_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "current").chmod(0o444)
    write_or_check({folder / "current": "current"}, check=False)
    assert not capsys.readouterr().out
