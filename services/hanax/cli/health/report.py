"""`hana-x-health report`: a document that one can send."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import orjson

from hanax.cli.connection import Connection
from hanax.cli.health.looking import local_stack_of, look
from hanax.cli.printing import Format, rendered
from hanax.cli.versions import look_at_versions
from hanax.local.layout import Layout
from hanax.local.logfiles import last_lines
from hxp_vector_client import VectorError

_LINES_LOOKED_AT: Final = 500
_ERRORS_SHOWN: Final = 20
_MESSAGE_SHOWN: Final = 300
_COLLECTION: Final = ("name", "state", "points", "dimension", "metric", "shards", "disk_bytes", "index")
_BAD_LEVELS: Final = ("error", "critical")


class ReportFormat(StrEnum):
    MARKDOWN = "markdown"
    JSON = "json"
    YAML = "yaml"


async def make_report(connection: Connection) -> dict[str, Any]:
    """Raises InvalidArgument; what does not answer is told."""
    found = await look(connection)
    layout = local_stack_of(connection)
    collections, reason = await _collections(connection)
    return {
        "status": found.status.value,
        "at": found.at,
        "url": found.url,
        "machine": {"system": platform.platform(), "python": platform.python_version()},
        "versions": await look_at_versions(connection),
        "checks": [check.told() for check in found.checks],
        "collections": collections,
        "collections_reason": reason,
        "errors": [] if layout is None else _logged_errors(layout),
    }


def render_report(told: Mapping[str, Any], form: ReportFormat) -> str:
    if form is ReportFormat.MARKDOWN:
        return "\n".join(_markdown(told))
    return rendered(dict(told), Format.JSON if form is ReportFormat.JSON else Format.YAML)


async def _collections(connection: Connection) -> tuple[list[dict[str, Any]], str | None]:
    """What there is of each, or why that is not known."""
    rows = []
    try:
        async with connection.client(patience_s=0.0) as client:
            for one in await client.collections.list():
                told = await client.collections.get(one.name)
                rows.append(
                    {
                        "name": one.name,
                        "state": one.state,
                        "points": told.points,
                        "dimension": one.dimension,
                        "metric": one.metric,
                        "shards": one.shards,
                        "disk_bytes": sum(shard.disk_bytes or 0 for shard in told.shard_states),
                        "index": (one.index or {}).get("type"),
                    }
                )
    except VectorError as error:
        return rows, error.message
    return rows, None


def _logged_errors(layout: Layout) -> list[dict[str, Any]]:
    """The last ones that services wrote, oldest first."""
    found = []
    for path in sorted(layout.logs.glob("*.log")):
        for line in last_lines(path, _LINES_LOOKED_AT):
            try:
                told = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(told, dict) and told.get("level") in _BAD_LEVELS:
                detail = str(told.get("error") or told.get("exception") or "")[-_MESSAGE_SHOWN:]
                found.append(
                    {
                        "at": str(told.get("timestamp", "")),
                        "service": path.stem,
                        "event": str(told.get("event", ""))[:_MESSAGE_SHOWN],
                        "detail": detail,
                    }
                )
    return sorted(found, key=lambda one: one["at"])[-_ERRORS_SHOWN:]


def _markdown(told: Mapping[str, Any]) -> Iterable[str]:
    yield f"# HANA-X Vector: {told['status']}"
    machine = told["machine"]
    yield f"\n{told['at']}, {told['url']}, seen from {machine['system']}, Python {machine['python']}."
    yield "\n## Versions\n"
    yield from _table(told["versions"], ("component", "version", "address", "reason"))
    yield "\n## Checks\n"
    yield from _table(told["checks"], ("name", "kind", "status", "latency_ms", "message"))
    yield "\n## Collections\n"
    if told["collections_reason"] is not None:
        yield f"Not known: {told['collections_reason']}"
    yield from _table(told["collections"], _COLLECTION)
    yield "\n## Last errors in logs\n"
    yield from _table(told["errors"], ("at", "service", "event", "detail"))


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Iterable[str]:
    if not rows:
        yield "None."
        return
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        cells = ("" if row[column] is None else str(row[column]) for column in columns)
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
