from __future__ import annotations

from pathlib import Path

import pytest

from hanax.local import logfiles
from hanax.local.logfiles import LogFollower, bound_log, last_lines, open_log


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(logfiles, "MAX_LOG_BYTES", 100)
    return tmp_path / "a.log"


def test_a_small_log_is_left_alone(log: Path) -> None:
    log.write_bytes(b"x" * 100)
    bound_log(log)
    assert log.stat().st_size == 100
    assert not log.with_name("a.log.1").exists()


def test_a_large_one_is_moved_aside_and_the_older_part_dropped(log: Path) -> None:
    for letter in (b"x", b"y"):
        log.write_bytes(letter * 101)
        bound_log(log)
    assert log.read_bytes() == b""
    assert log.with_name("a.log.1").read_bytes() == b"y" * 101


def test_a_writer_that_has_it_open_goes_on_at_the_start(log: Path) -> None:
    with open_log(log) as output:
        output.write(b"x" * 101)
        bound_log(log)
        output.write(b"after\n")
    assert log.read_bytes() == b"after\n"


def test_there_may_be_no_log(log: Path) -> None:
    bound_log(log)
    assert last_lines(log, 5) == []


def test_last_lines(log: Path) -> None:
    log.write_text("".join(f"line {number}\n" for number in range(30)))
    assert last_lines(log, 2) == ["line 28", "line 29"]
    assert last_lines(log, 0) == []


def test_last_lines_of_a_long_log_are_whole(log: Path) -> None:
    log.write_text("".join(f"{number:0999}\n" for number in range(200)))
    lines = last_lines(log, 500)
    assert {len(line) for line in lines} == {999}
    assert int(lines[-1]) == 199


def test_a_follower_yields_whole_lines_as_they_come(log: Path) -> None:
    log.write_text("old\n")
    follower = LogFollower(log)
    assert list(follower.lines()) == []
    with open_log(log) as output:
        output.write(b"one\ntw")
        assert list(follower.lines()) == ["one"]
        output.write(b"o\n")
        assert list(follower.lines()) == ["two"]


def test_a_follower_goes_on_after_a_log_was_bounded(log: Path) -> None:
    follower = LogFollower(log)
    with open_log(log) as output:
        output.write(b"x" * 101 + b"\n")
        list(follower.lines())
        bound_log(log)
        output.write(b"after\n")
        assert list(follower.lines()) == ["after"]
