"""The gateway's process, that kills itself with signal 9 at the step that a file names.

HANAX_TEST_DEATH names the file; while it holds a number, so many half steps of the next requests are left
(a transaction of the database or a write to a shard has two: before it, and after it was done).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from hanax.gateway.main import main
from hanax.gateway.shards import Shards
from hanax.metadata.database import Database

_FILE = Path(os.environ["HANAX_TEST_DEATH"])


def _meet() -> None:
    if not _FILE.exists():
        return
    left = int(_FILE.read_text())
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    _FILE.write_text(str(left - 1))


def _wrap(owner: type, name: str) -> None:
    done = getattr(owner, name)

    async def step(*args: Any, **named: Any) -> Any:
        _meet()
        found = await done(*args, **named)
        _meet()
        return found

    setattr(owner, name, step)


if __name__ == "__main__":
    _wrap(Database, "run")
    _wrap(Database, "run_by_locks")
    _wrap(Shards, "_write")
    sys.exit(main())
