"""Files beside what the database says was applied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from hanax.cli.migrate.files import MigrationFile
from hanax.core.errors import InvalidMigration, MigrationEdited, NotFound
from hanax.metadata.applied_migrations import Applied

State = Literal["applied", "pending", "edited", "missing", "unfinished", "failed", "out_of_order"]


@dataclass(frozen=True, slots=True)
class Row:
    """One migration as `status` shows it. applied_at_us: microseconds since 1970 UTC."""

    name: str
    state: State
    applied_at_us: int | None
    error: str | None


def history(files: Sequence[MigrationFile], applied: Iterable[Applied]) -> list[Row]:
    """By number. missing: applied, but its file is gone; out_of_order: pending below one that is applied."""
    known = {one.name: one for one in applied}
    by_name = {file.name: file for file in files}
    last = max((name for name in known if known[name].state == "applied"), default="")
    rows = []
    for name in sorted({*known, *by_name}):
        one, file = known.get(name), by_name.get(name)
        state = _state(one, file, name < last)
        rows.append(
            Row(name, state, None, None) if one is None else Row(name, state, one.ended_at_us, one.error)
        )
    return rows


def _state(one: Applied | None, file: MigrationFile | None, below: bool) -> State:
    if one is None:
        return "out_of_order" if below else "pending"
    if file is None:
        return "missing"
    if one.state != "applied":
        return "unfinished" if one.state == "running" else "failed"
    return "applied" if one.checksum == file.checksum else "edited"


def check_history(files: Sequence[MigrationFile], applied: Iterable[Applied]) -> None:
    """Raises MigrationEdited and InvalidMigration for files that are at odds with what was applied."""
    known = {one.name: one for one in applied}
    rows = history(files, known.values())
    # A file under a new name is gone under its old one: that is told first.
    for row in sorted(rows, key=lambda row: row.state == "out_of_order"):
        if row.state == "edited":
            raise MigrationEdited(
                f"{row.name} was changed after it was applied: bring its file back as it was, and put the "
                "change into a new migration",
                migration=row.name,
            )
        if row.state == "missing":
            one = known[row.name]
            renamed = [
                file.name for file in files if file.checksum == one.checksum and file.name not in known
            ]
            state = "applied" if one.state == "applied" else "left unfinished"
            raise MigrationEdited(
                f"{row.name} is {state}, but its file is gone: bring it back"
                + (f" ({renamed[0]} is the same under another name)" if renamed else ""),
                migration=row.name,
            )
        if row.state == "out_of_order":
            raise InvalidMigration(
                f"{row.name} has a lower number than one that is applied: give it a higher one",
                migration=row.name,
            )


def find_file(files: Sequence[MigrationFile], name: str) -> MigrationFile:
    """By its name or its number. Raises NotFound."""
    for file in files:
        if name in (file.name, file.path.name) or (name.isdecimal() and int(name) == file.number):
            return file
    raise NotFound(f"there is no migration {name!r}")
