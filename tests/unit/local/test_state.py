from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanax.local.state import (
    ProcessRef,
    ServiceState,
    StackState,
    State,
    SupervisorLock,
    read_state,
    running_supervisor,
    write_state,
)

_HOLDER = """
import sys
from pathlib import Path
from hanax.local.state import SupervisorLock
assert SupervisorLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lock_file(tmp_path: Path) -> Path:
    return tmp_path / "supervisor.lock"


@pytest.fixture
def holder(lock_file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(lock_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_nobody_runs_where_nothing_is(lock_file: Path) -> None:
    assert running_supervisor(lock_file) is None


def test_the_holder_is_known_to_others(lock_file: Path, holder: subprocess.Popen[str]) -> None:
    owner = running_supervisor(lock_file)
    assert owner is not None
    assert owner.pid == holder.pid
    assert not SupervisorLock(lock_file).acquire()


def test_a_killed_holder_leaves_nothing(lock_file: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert running_supervisor(lock_file) is None
    lock = SupervisorLock(lock_file)
    assert lock.acquire()
    lock.release()


def test_asking_does_not_take_it(lock_file: Path) -> None:
    lock_file.touch()
    assert running_supervisor(lock_file) is None
    lock = SupervisorLock(lock_file)
    assert lock.acquire()
    lock.release()
    assert running_supervisor(lock_file) is None


def test_a_process_is_found_by_number_and_birth() -> None:
    me = ProcessRef.of(os.getpid())
    found = me.find()
    assert found is not None
    assert found.pid == os.getpid()
    assert ProcessRef(pid=me.pid, created=me.created - 3600).find() is None


def test_an_ended_process_is_not_found() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        reference = ProcessRef.of(process.pid)
        assert reference.find() is not None
        process.kill()
        process.wait()
    assert reference.find() is None


def test_the_state_is_read_as_written(tmp_path: Path) -> None:
    service = ServiceState(name="shard-0", state=State.READY, process=ProcessRef.of(os.getpid()))
    state = StackState(
        supervisor=ProcessRef.of(os.getpid()), api_url="http://x", services=[service], ports={"a": 1}
    )
    write_state(tmp_path / "stack.json", state)
    assert read_state(tmp_path / "stack.json") == state
    assert state.ready


@pytest.mark.parametrize("content", [b"", b"{", b'{"supervisor": 3}', b"\xff\xfe"])
def test_a_damaged_state_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stack.json").write_bytes(content)
    assert read_state(tmp_path / "stack.json") is None


def test_no_services_are_not_ready() -> None:
    assert not StackState(supervisor=ProcessRef(pid=1, created=0), api_url="").ready
