"""What services of the local stack wrote: the last lines, those since a moment, and those to come."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from hanax.core.errors import InvalidArgument, NotFound
from hanax.local.layout import Layout
from hanax.local.logfiles import LogFollower, last_lines, older_lines

_SPAN: Final = re.compile(r"(\d{1,6})(s|m|h|d)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Logs:
    """Of one service, or of all: then each line begins with the service's name."""

    def __init__(self, layout: Layout, service: str | None) -> None:
        """Raises NotFound for a service that has no log."""
        known = sorted(path.stem for path in layout.logs.glob("*.log"))
        if service is not None and service not in known:
            names = ", ".join(known) or "none yet"
            raise NotFound(f"{service!r} has no log in {layout.logs}; there is: {names}")
        self._paths = {name: layout.log_of(name) for name in (known if service is None else [service])}
        self._named = service is None
        # Before anything is read, so that no line is missed.
        self._followers = {name: LogFollower(path) for name, path in self._paths.items()}

    def written(self, lines: int, since: datetime | None) -> Iterator[str]:
        """The last `lines` of each service; with `since`, those from then on."""
        for name, path in self._paths.items():
            if since is None:
                found = last_lines(path, lines)
            else:
                found = [*_since(older_lines(path), since)][-lines:] if lines else []
            yield from (self._shown(name, line) for line in found)

    def new(self) -> Iterator[str]:
        """What came since the last call."""
        for name, follower in self._followers.items():
            yield from (self._shown(name, line) for line in follower.lines())

    def _shown(self, name: str, line: str) -> str:
        return f"{name} | {line}" if self._named else line


def parse_since(given: str, now: datetime) -> datetime:
    """given: `90s`, `10m`, `2h`, `1d`, or an RFC 3339 instant, in UTC where it does not say.

    Raises InvalidArgument.
    """
    if found := _SPAN.fullmatch(given):
        return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        instant = datetime.fromisoformat(given)
    except ValueError:
        raise InvalidArgument(
            f"--since: expected 90s, 10m, 2h or 1d, or an instant as 2031-01-31T10:00:00Z, got {given!r}"
        ) from None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def _since(lines: Iterator[str], since: datetime) -> Iterator[str]:
    """Lines without an instant, as those of a stack trace, belong to the line before."""
    wanted = False
    for line in lines:
        if (instant := _instant_of(line)) is not None:
            wanted = instant >= since
        if wanted:
            yield line


def _instant_of(line: str) -> datetime | None:
    try:
        return datetime.fromisoformat(orjson.loads(line)["timestamp"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
