"""python -m hanax.metadata.backup: copies of a metadata database in a SQLite file. PostgreSQL has pg_dump.

`save` may be used while services write: the copy is the database at one moment (SQLite's backup API).
`restore` puts a copy in the database's place; no service may use it then.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from hanax.core.errors import AlreadyExists, DatabaseUnavailable, DataLoss, HanaxError, NotFound

# How long a writer is waited for; a copy of a database that is written meanwhile starts anew.
_PATIENCE_S: Final = 60.0


def save(database: Path, copy: Path) -> None:
    """Copy the database, durable on return; the copy is checked before it has its name.

    Raises NotFound where there is no database, AlreadyExists where there is a copy, DataLoss for a database
    that is damaged, DatabaseUnavailable for files that cannot be read or written.
    """
    if copy.exists():
        raise AlreadyExists(f"{copy} is there already")
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        _copy(database, unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.rename(copy)
    finally:
        unfinished.unlink(missing_ok=True)


def restore(copy: Path, database: Path) -> None:
    """Make the database what the copy is, all of it or nothing. Errors as of `save`."""
    with closing(_open(copy)) as source:
        _check(source, copy)
    _copy(copy, database)


def _copy(source: Path, target: Path) -> None:
    try:
        with closing(_open(source)) as read, closing(sqlite3.connect(target, timeout=_PATIENCE_S)) as written:
            # All pages in one step: what a writer adds meanwhile would begin it anew again and again.
            read.backup(written)
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
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise DataLoss(f"{path} is damaged: {found}")


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
