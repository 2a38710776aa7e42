"""Services that keep cores busy yield to the others.

On a machine of few cores every core may scan or embed; a gateway that must wait for its turn makes
each request late by several milliseconds, though it needs a fraction of one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# Enough that others need not wait, not so much that the service starves beside ordinary programs.
NICENESS = 10


def let_yield(pid: int) -> None:
    """Lower the priority of a process that has just been started in a session of its own.

    Where Linux groups tasks by session (autogroup), niceness counts inside a group only, and the
    group has one of its own. A process that is gone, or a system without either, is passed over.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS))
