"""Lines of logs: the last ones, those since a moment, and those to come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from hanax.cli.log_lines import Logs, parse_since
from hanax.core.errors import InvalidArgument, NotFound
from hanax.local.layout import Layout

NOW = datetime(2031, 5, 6, 12, 0, 0, tzinfo=UTC)


def line(number: int, minutes_ago: float) -> str:
    at = (NOW - timedelta(minutes=minutes_ago)).isoformat().replace("+00:00", "Z")
    return orjson.dumps({"event": f"e{number}", "timestamp": at}).decode()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout.at(tmp_path)
    made.create()
    return made


def write(layout: Layout, name: str, lines: list[str]) -> None:
    layout.log_of(name).write_text("".join(f"{one}\n" for one in lines))


def test_the_last_lines_however_long_they_are(layout: Layout) -> None:
    lines = [f"{number} " + "x" * 1_000 for number in range(500)]
    write(layout, "gateway", lines)
    logs = Logs(layout, "gateway")
    assert list(logs.written(300, None)) == lines[-300:]
    assert list(logs.written(10_000, None)) == lines
    assert list(logs.written(0, None)) == []


def test_of_all_services_each_line_is_named(layout: Layout) -> None:
    write(layout, "shard-0", ["one", "two"])
    write(layout, "gateway", ["three"])
    assert list(Logs(layout, None).written(1, None)) == ["gateway | three", "shard-0 | two"]


def test_since_a_moment_also_in_the_older_part_and_with_what_belongs_to_a_line(layout: Layout) -> None:
    layout.log_of("gateway").with_name("gateway.log.1").write_text(
        f"{line(1, 60)}\n{line(2, 9)}\n  a trace\n"
    )
    write(layout, "gateway", [line(3, 5), "plain text", line(4, 1)])
    logs = Logs(layout, "gateway")
    since = NOW - timedelta(minutes=10)
    assert list(logs.written(50, since)) == [line(2, 9), "  a trace", line(3, 5), "plain text", line(4, 1)]
    assert list(logs.written(2, since)) == ["plain text", line(4, 1)]
    assert list(logs.written(50, NOW)) == []


def test_what_is_new_is_told_once(layout: Layout) -> None:
    write(layout, "gateway", ["old"])
    logs = Logs(layout, "gateway")
    assert list(logs.new()) == []
    with layout.log_of("gateway").open("a") as file:
        file.write("new\nhal")
    assert list(logs.new()) == ["new"]
    assert list(logs.new()) == []


def test_a_service_without_a_log(layout: Layout) -> None:
    write(layout, "gateway", [])
    with pytest.raises(NotFound, match="there is: gateway"):
        Logs(layout, "nobody")


@pytest.mark.parametrize(
    ("given", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        ("2031-05-06T11:00:00Z", timedelta(hours=1)),
        ("2031-05-06T11:00:00", timedelta(hours=1)),
        ("2031-05-06T13:00:00+02:00", timedelta(hours=1)),
    ],
)
def test_moments(given: str, ago: timedelta) -> None:
    assert parse_since(given, NOW) == NOW - ago


@pytest.mark.parametrize("given", ["yesterday", "10", "-5m", "10 m", "", "99999999999d"])
def test_moments_that_are_none(given: str) -> None:
    with pytest.raises(InvalidArgument, match="--since"):
        parse_since(given, NOW)
