"""From a database that may be away, or of an older version, to one that can be used.

A service starts without it. Until its schema is the one that this version knows, everything that is
asked of the database is refused, with the reason; then it is open, and stays so: a database that goes
away later is told of by each transaction for itself.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Final, Protocol

import structlog

from hanax.core.errors import DatabaseNotConfigured, DatabaseUnavailable, HanaxError
from hanax.metadata.database import Database, DatabaseOptions
from hanax.metadata.failures import RETRY_AFTER_S
from hanax.metadata.upgrading import upgrade

log = structlog.get_logger()

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0
# In which all migrations are run, also where the machine is busy.
_ATTEMPT_S: Final = 30.0


class DatabaseSettings(Protocol):
    """What the settings of a service say of it."""

    @property
    def database_url(self) -> str: ...
    @property
    def database_password_file(self) -> Path | None: ...
    @property
    def database_pool_size(self) -> int: ...
    @property
    def database_timeout_s(self) -> float: ...


def database_of(settings: DatabaseSettings) -> Database | None:
    """None where none is configured. Opens nothing yet. Raises InvalidArgument for a URL of another kind."""
    if not settings.database_url:
        return None
    return Database(
        DatabaseOptions(
            settings.database_url,
            settings.database_password_file,
            settings.database_pool_size,
            settings.database_timeout_s,
        )
    )


def configured(database: Database | None) -> Database:
    """Raises DatabaseNotConfigured where there is none."""
    if database is None:
        raise DatabaseNotConfigured(
            "no metadata database is configured (HANAX_DATABASE_URL); jobs, libraries, API keys and the "
            "operation log need one"
        )
    return database


class Opening:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None
        self._failed = asyncio.Event()
        self.opened = asyncio.Event()

    async def start(self, patience_s: float) -> bool:
        """Begin, and wait so long for the database; whether it is open. It is sought for on and on.

        A first attempt that has not failed yet, such as one that migrates, is waited for longer.
        """
        self._refuse(DatabaseUnavailable("the metadata database has not answered yet"))
        self._task = asyncio.create_task(self._open())
        if patience_s > 0:
            opened, failed = (asyncio.create_task(event.wait()) for event in (self.opened, self._failed))
            try:
                await asyncio.wait({opened}, timeout=patience_s)
                both = {opened, failed}
                await asyncio.wait(both, timeout=_ATTEMPT_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                opened.cancel()
                failed.cancel()
        return self.opened.is_set()

    async def close(self) -> None:
        """A migration that runs is undone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _open(self) -> None:
        pause_s = _FIRST_PAUSE_S
        told = ""
        while not self.opened.is_set():
            try:
                await upgrade(self._database)
            except HanaxError as error:
                self._refuse(error)
                if error.message != told:
                    log.warning("no metadata database", error=error.message)
                    told = error.message
            except Exception as error:
                # A migration's own: nothing is changed, and `upgrade` has logged all of it.
                self._refuse(
                    DatabaseUnavailable(f"the metadata database is not upgraded: {type(error).__name__}")
                )
            else:
                self._database.refuse(None)
                self.opened.set()
                log.info("metadata database", place=self._database.name, was_away=bool(told))
                return
            self._failed.set()
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)

    def _refuse(self, error: HanaxError) -> None:
        error.details.setdefault("retry_after_s", RETRY_AFTER_S)
        self._database.refuse(error)
