"""One migrates at a time, from wherever: a lock in the database that its holder renews while it works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from hanax.core.errors import HanaxError, MigrationLocked
from hanax.metadata.applied_migrations import AppliedMigrations

# A lock whose holder died is free after this long.
LOCK_S: Final = 30.0
RENEW_S: Final = 10.0
# Where the database was away.
_AGAIN_S: Final = 1.0


@asynccontextmanager
async def locked(
    applied: AppliedMigrations, seconds: float = LOCK_S, renew_s: float = RENEW_S
) -> AsyncIterator[None]:
    """Raises MigrationLocked while another has it; the work within ends with that when the lock is lost."""
    await applied.lock(seconds)
    work = asyncio.current_task()
    assert work is not None
    renewing = asyncio.create_task(_renew(applied, seconds, renew_s))
    renewing.add_done_callback(lambda ended: None if ended.cancelled() else work.cancel())
    try:
        yield
    except asyncio.CancelledError:
        if not renewing.done() or renewing.cancelled():
            raise
        raise MigrationLocked(
            "the lock was lost, and the work ended where it was: the next run goes on from its notes"
        ) from None
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        # Where the database is away, it is free when its time is over.
        with suppress(HanaxError):
            await applied.unlock()


async def _renew(applied: AppliedMigrations, seconds: float, renew_s: float) -> None:
    """Returns when the lock is another's, or may be by now."""
    renewed = time.monotonic()
    pause_s = renew_s
    while time.monotonic() - renewed < seconds:
        await asyncio.sleep(pause_s)
        began = time.monotonic()
        try:
            await applied.renew(seconds)
            renewed, pause_s = began, renew_s
        except MigrationLocked:
            return
        except HanaxError:
            pause_s = min(renew_s, _AGAIN_S)
