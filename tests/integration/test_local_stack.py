"""`hana-x-vector` with all its services, as separate processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

import hanax
from hanax.local.controller import read_table
from tests.integration.local_stack import LocalStack, all_gone
from tests.integration.waiting import wait_until

SERVICES = ["embedder", "shard-0", "shard-1", "gateway", "batch-processor"]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """Not started."""
    made = LocalStack(tmp_path / "data")
    yield made
    made.end()


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[LocalStack, subprocess.CompletedProcess[str]]]:
    """One stack that runs for many tests, and what its start printed."""
    made = LocalStack(tmp_path_factory.mktemp("stack") / "data")
    try:
        yield made, made.run("up", "--detach")
    finally:
        # Also when it did not come up in time.
        made.end()


class TestRunning:
    @pytest.fixture
    def stack(self, started: tuple[LocalStack, subprocess.CompletedProcess[str]]) -> LocalStack:
        started[0].ready()
        return started[0]

    def test_up_prints_the_services_and_where_to_go(
        self, started: tuple[LocalStack, subprocess.CompletedProcess[str]]
    ) -> None:
        stack, up = started
        assert up.returncode == 0, up.stderr
        table = [line.split() for line in up.stdout.splitlines()]
        for service in SERVICES:
            rows = [row for row in table if row[:1] == [service] and len(row) > 5]
            assert [row[2] for row in rows] == ["ready"], up.stdout
        api_url = stack.state().api_url
        assert f"{api_url}/api/v1" in up.stdout
        assert f"{api_url}/docs" in up.stdout

    def test_status_tells_programs(self, stack: LocalStack) -> None:
        done = stack.run("status", "--format", "json")
        told = stack.status()
        assert done.returncode == 0
        assert (told["running"], told["ready"], told["api_url"]) == (True, True, stack.state().api_url)
        assert [one["service"] for one in told["services"]] == SERVICES
        for one in told["services"]:
            assert one["state"] == "ready"
            assert one["pid"] == stack.pids()[one["service"]]
            assert one["memory_bytes"] > 10_000_000
            assert 0 <= one["uptime_s"] < 600
            host, port = one["address"].split(":")
            socket.create_connection((host, int(port))).close()

    def test_status_tells_people(self, stack: LocalStack) -> None:
        done = stack.run("status")
        assert done.returncode == 0
        header = done.stdout.splitlines()[0].split()
        assert header == ["service", "pid", "state", "restarts", "uptime", "address", "memory"]

    def test_a_second_up_says_that_it_runs(self, stack: LocalStack) -> None:
        before = stack.pids()
        for arguments in ((), ("--detach",)):
            done = stack.run("up", *arguments)
            assert done.returncode == 0
            assert "runs already" in done.stdout
            assert stack.state().api_url in done.stdout
        assert stack.pids() == before

    def test_collections_are_served(self, stack: LocalStack) -> None:
        stack.create("served")
        stack.insert("served", 10)
        assert stack.count("served") == 10

    def test_a_killed_shard_comes_back_with_its_data(self, stack: LocalStack) -> None:
        stack.create("kept")
        stack.insert("kept", 50)
        before = stack.pids()
        restarts = stack.state().services[1].restarts
        os.kill(before["shard-0"], signal.SIGKILL)
        wait_until("a restart", lambda: stack.state().services[1].restarts == restarts + 1)
        assert stack.ready().services[1].reason == "killed by SIGKILL"
        assert stack.count("kept") == 50
        after = stack.pids()
        assert {name for name in before if before[name] != after[name]} == {"shard-0"}

    def test_status_says_when_not_all_is_ready(self, stack: LocalStack) -> None:
        pid = stack.pids()["shard-1"]
        os.kill(pid, signal.SIGSTOP)
        try:
            done = stack.run("status")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert done.returncode == 1
        states = {row[0]: row[2] for row in map(str.split, done.stdout.splitlines()) if len(row) > 5}
        assert states["shard-1"] == "starting"
        assert states["shard-0"] == "ready"

    def test_a_damaged_catalog_file_takes_no_other_down(self, stack: LocalStack) -> None:
        stack.create("whole")
        damaged = stack.layout.catalog / "damaged.json"
        damaged.write_text("{")
        try:
            stack.create("later")
            stack.insert("whole", 3)
            assert stack.count("whole") == 3
            stack.call("DELETE", "/api/v1/collections/later")
            assert "damaged" in stack.run("logs", "supervisor").stdout
        finally:
            damaged.unlink()

    def test_deleted_collections_leave_the_disk(self, stack: LocalStack) -> None:
        stack.create("gone")
        stack.insert("gone", 3)
        folders = list(stack.layout.shards.glob("*/collections/gone-*"))
        assert len(folders) == 2
        stack.call("DELETE", "/api/v1/collections/gone")
        wait_until("empty folders", lambda: not any(folder.exists() for folder in folders))

    def test_logs_of_one_service(self, stack: LocalStack) -> None:
        done = stack.run("logs", "gateway", "--lines", "3")
        assert done.returncode == 0
        assert 1 <= len(done.stdout.splitlines()) <= 3
        assert all('"service": "gateway"' in line for line in done.stdout.splitlines())

    def test_logs_of_all(self, stack: LocalStack) -> None:
        done = stack.run("logs")
        named = {line.split(" | ")[0] for line in done.stdout.splitlines()}
        assert named == {*SERVICES, "supervisor"}

    def test_logs_of_a_service_that_there_is_not(self, stack: LocalStack) -> None:
        done = stack.run("logs", "nobody")
        assert done.returncode == 4
        assert "there is: batch-processor, embedder, gateway, shard-0, shard-1, supervisor" in done.stderr

    def test_logs_can_be_followed(self, stack: LocalStack) -> None:
        with stack.begin("logs", "supervisor", "--follow", "--lines", "1") as following:
            assert following.stdout is not None
            following.stdout.readline()  # the last line that was there
            stack.create("followed")
            assert '"event": "routing table"' in following.stdout.readline()
            following.send_signal(signal.SIGINT)
            assert following.wait(20) == 0


def test_down_and_up_again_finds_everything(stack: LocalStack) -> None:
    stack.up()
    stack.create("docs")
    stack.insert("docs", 100)
    table, state, pids = read_table(stack.layout.routing_file), stack.state(), stack.pids()

    assert stack.run("down").returncode == 0
    assert all_gone(pids)
    status = stack.run("status", "--format", "json")
    assert status.returncode == 3
    assert orjson.loads(status.stdout)["running"] is False
    again = stack.run("down")
    assert (again.returncode, "runs." in again.stdout) == (0, True)

    stack.up()
    assert stack.count("docs") == 100
    assert stack.state().ports == state.ports
    after = read_table(stack.layout.routing_file)
    assert after.collections == table.collections
    assert after.revision >= table.revision


def test_the_number_of_shards_grows_but_never_below_data(stack: LocalStack) -> None:
    stack.up()
    stack.create("docs")
    stack.insert("docs", 20)
    stack.run("down")

    refused = stack.run("up", "--detach", "--shards", "1")
    assert refused.returncode == 1
    assert "shard-1 would no longer run but hold data of docs" in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr
    assert stack.run("status").returncode == 3

    stack.up("--shards", "3")
    assert stack.count("docs") == 20
    stack.create("new", shards=3)
    assert len(stack.status()["services"]) == 6


def test_services_end_when_their_supervisor_is_killed(stack: LocalStack) -> None:
    stack.up()
    stack.create("docs")
    stack.insert("docs", 20)
    pids = stack.pids()
    os.kill(pids["supervisor"], signal.SIGKILL)
    wait_until("no service is left", lambda: all_gone(pids))
    assert stack.run("status").returncode == 3
    stack.up()
    assert stack.count("docs") == 20


def test_up_right_after_its_supervisor_was_killed(stack: LocalStack) -> None:
    stack.up()
    stack.create("docs")
    stack.insert("docs", 20)
    pids = stack.pids()
    stopped = pids.pop("shard-0")
    os.kill(stopped, signal.SIGSTOP)  # it can't notice that it is an orphan
    os.kill(pids["supervisor"], signal.SIGKILL)
    log = stack.layout.log_of("supervisor")
    try:
        with stack.begin("up", "--detach") as up:
            wait_until("it is told to end", lambda: "of an earlier supervisor" in log.read_text())
            assert not all_gone({"shard-0": stopped})
            os.kill(stopped, signal.SIGCONT)
            assert up.wait(60) == 0
    finally:
        with suppress(ProcessLookupError):
            os.kill(stopped, signal.SIGKILL)
    assert all_gone({"shard-0": stopped})
    assert stack.count("docs") == 20
    assert [one.restarts for one in stack.state().services] == [0, 0, 0, 0, 0]


def test_in_the_foreground_it_stays_until_ctrl_c(stack: LocalStack) -> None:
    with stack.begin("up") as up:
        lines = _read_until(up, "Ctrl-C stops it.")
        assert any("/docs" in line for line in lines)
        pids = stack.pids()
        assert stack.run("status").returncode == 0
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0
    assert all_gone(pids)


def test_in_the_foreground_it_tells_of_restarts_and_ends_with_down(stack: LocalStack) -> None:
    with stack.begin("up") as up:
        _read_until(up, "Ctrl-C stops it.")
        os.kill(stack.pids()["embedder"], signal.SIGKILL)
        _read_until(up, "embedder: restarting (killed by SIGKILL)")
        _read_until(up, "embedder: ready")
        assert stack.run("down").returncode == 0
        assert up.wait(30) == 0


def test_in_the_foreground_the_stack_ends_with_the_command(stack: LocalStack) -> None:
    with stack.begin("up") as up:
        _read_until(up, "Ctrl-C stops it.")
        pids = stack.pids()
        up.kill()
        up.wait()
    wait_until("nothing is left", lambda: all_gone(pids))


def test_ctrl_c_while_starting_leaves_nothing(stack: LocalStack) -> None:
    with stack.begin("up", "--detach") as up:
        _read_until(up, "embedder: starting")
        pids = stack.pids()
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 130
    assert all_gone(pids)
    assert stack.run("status").returncode == 3


def test_two_at_once_start_one_stack(stack: LocalStack) -> None:
    with stack.begin("up", "--detach") as one, stack.begin("up", "--detach") as other:
        statuses = {one.wait(110), other.wait(110)}
        said = [process.stdout.read() for process in (one, other) if process.stdout is not None]
    assert 0 in statuses
    for text in said:
        assert "Traceback" not in text
        assert "/docs" in text or "another supervisor runs" in text
    assert stack.run("status").returncode == 0


def test_a_taken_port_is_named(stack: LocalStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = stack.run("up", "--detach", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken" in done.stderr
    assert stack.run("status").returncode == 3


def test_a_service_that_does_not_start_shows_its_last_words(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, HANAX_EMBEDDER_QUEUE_TEXTS="0")
    began = time.monotonic()
    done = stack.run("up", "--detach")
    assert done.returncode == 1
    assert "embedder does not start (ended with status 1)" in done.stderr
    assert "greater than or equal to 1" in done.stderr
    # Not when the time for becoming ready, three minutes, is over.
    assert time.monotonic() - began < 120
    assert stack.run("status").returncode == 3


def test_what_is_not_ready_in_time_is_named(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, HANAX_READY_TIMEOUT_S="0.01")
    done = stack.run("up", "--detach")
    assert done.returncode == 1
    assert "was not ready within 0.01 s" in done.stderr
    assert stack.run("status").returncode == 3


def test_data_without_its_routing_table_is_refused(stack: LocalStack) -> None:
    stack.up()
    stack.create("docs")
    stack.run("down")
    stack.layout.routing_file.unlink()
    done = stack.run("up", "--detach")
    assert done.returncode == 1
    assert "routing.json is missing though there is data" in done.stderr


def test_a_data_directory_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = LocalStack(tmp_path / "file" / "data").run("up", "--detach")
    assert done.returncode == 1
    assert done.stderr.startswith("error: the data directory")


@pytest.mark.parametrize(
    ("setting", "named"),
    [({"HANAX_SHARDS": "many"}, "HANAX_SHARDS"), ({"HANAX_GATEWAY_PORT": "99999"}, "HANAX_GATEWAY_PORT")],
)
def test_wrong_settings_are_named(tmp_path: Path, setting: dict[str, str], named: str) -> None:
    done = LocalStack(tmp_path, **setting).run("up", "--detach")
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_options_are_named(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path)
    assert stack.run("up", "--backend", "magic").returncode == 2
    assert stack.run("up", "--shards", "0").returncode == 2
    assert stack.run("status", "--format", "xml").returncode == 2


def test_version(tmp_path: Path) -> None:
    done = LocalStack(tmp_path).run("version", "--client")
    assert (done.returncode, done.stdout) == (0, f"hana-x-vector {hanax.__version__}\n")


def _read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} was not printed: {''.join(lines)}")
