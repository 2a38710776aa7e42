from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hanax.local.priority import NICENESS, let_yield


def test_a_process_yields_inside_its_session_and_with_its_session() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    ) as process:
        let_yield(process.pid)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == NICENESS
        autogroup = Path(f"/proc/{process.pid}/autogroup")
        if autogroup.exists():
            assert autogroup.read_text().split()[-1] == str(NICENESS)
        process.communicate(b"\n")


def test_a_process_that_is_gone_is_passed_over() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    let_yield(process.pid)
