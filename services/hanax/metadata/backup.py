"""python -m hanax.metadata.backup: copies of a metadata database in a SQLite file. PostgreSQL has pg_dump.

`save` may be used while services write: the copy is the database at one moment (SQLite's backup API).
`restore` puts a copy in the database's place; no service may have it open then. One that is so damaged that
SQLite can't write to it is replaced as a file.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from hanax.core.errors import (
    AlreadyExists,
    DatabaseUnavailable,
    DataLoss,
    HanaxError,
    InvalidArgument,
    NotFound,
)
from hanax.metadata.database import SCHEMA_TABLE
from hanax.metadata.folders import sync_folder

# How long a writer is waited for; a copy of a database that is written meanwhile starts anew.
_PATIENCE_S: Final = 60.0


def save(database: Path, copy: Path) -> None:
    """Copy the database, durable on return; the copy is checked before it has its name.

    Raises NotFound where there is no database, AlreadyExists where there is a copy, DataLoss for a database
    that is damaged, or holds nothing of this one, DatabaseUnavailable for files that cannot be read or
    written.
    """
    if copy.exists():
        raise AlreadyExists(f"{copy} is there already")
    _copy_to_new(database, copy)


def restore(copy: Path, database: Path) -> None:
    """Make the database what the copy is, all of it or nothing. Errors as of `save`, of the copy.

    InvalidArgument where both are one file, DatabaseUnavailable also while somebody has the database open.
    """
    if copy.exists() and database.exists() and copy.samefile(database):
        raise InvalidArgument(f"{copy} and {database} are one file")
    with closing(_open(copy)) as source:
        _check(source, copy)
    if _is_damaged(database):
        _copy_to_new(copy, database)
    else:
        _copy(copy, database)


def _is_damaged(database: Path) -> bool:
    """Whether SQLite can't read enough of it to write other pages into it."""
    if not database.is_file():
        return False
    try:
        with closing(_open(database)) as found:
            found.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
    return False


def _copy_to_new(source: Path, target: Path) -> None:
    """Into a file that takes the target's name once it is whole and checked; durable on return."""
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        _copy(source, unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        # The log of a file that was there is not to be read with this one.
        for ending in ("-wal", "-shm", "-journal"):
            target.with_name(target.name + ending).unlink(missing_ok=True)
        unfinished.rename(target)
        sync_folder(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    give_up_at = time.monotonic() + _PATIENCE_S

    def look(code: int, *_: int) -> None:
        # Else it would be tried for ever.
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() >= give_up_at:
            raise TimeoutError("somebody else writes to it")

    try:
        with closing(_open(source)) as read, closing(sqlite3.connect(target, timeout=_PATIENCE_S)) as written:
            # Refused while somebody else has the file open, who would go on with pages of both.
            written.execute("PRAGMA journal_mode = DELETE")
            # All pages in one step: what a writer adds meanwhile would begin it anew again and again.
            read.backup(written, progress=look)
            # A file that has a log beside it can't be opened in a folder that may only be read.
            written.execute("PRAGMA journal_mode = DELETE")
            _check(written, target)
    except (sqlite3.Error, OSError) as error:
        raise DatabaseUnavailable(f"{source} cannot be copied to {target}: {error}") from None


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    return sqlite3.connect(path, timeout=_PATIENCE_S)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        schema = connection.execute(
            "SELECT name FROM sqlite_master WHERE name = ?", (SCHEMA_TABLE,)
        ).fetchone()
    except sqlite3.OperationalError as error:
        raise DatabaseUnavailable(f"{path} cannot be read: {error}") from None
    except sqlite3.DatabaseError as error:
        raise DataLoss(f"{path} is damaged: {error}") from None
    if found != "ok":
        raise DataLoss(f"{path} is damaged: {found}")
    # SQLite takes an empty file for a database without tables.
    if schema is None:
        raise DataLoss(f"{path} is no metadata database: it has no table {SCHEMA_TABLE}")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m hanax.metadata.backup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, source, target in (("save", "database", "copy"), ("restore", "copy", "database")):
        command = commands.add_parser(name)
        command.add_argument("source", metavar=source, type=Path)
        command.add_argument("target", metavar=target, type=Path)
    given = parser.parse_args(arguments)
    try:
        (save if given.command == "save" else restore)(given.source, given.target)
    except HanaxError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
