"""The routing ConfigMap is followed through whatever the API server does, and never back."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from hanax.core.routing import NodeRoute, RoutingTable
from hanax.core.routing_config_map import TABLE_KEY, to_config_map_data
from hanax.runtime.cluster import api_server
from hanax.runtime.cluster.routing_config_map import RoutingConfigMap
from tests.integration.waiting import wait_until
from tests.unit.runtime.cluster.api_server import NAMESPACE, ApiServer

DEADLINE_S = 20.0
NAME = "release-routing"


def table(revision: int) -> RoutingTable:
    return RoutingTable(revision=revision, nodes=(NodeRoute(name="a", address="a.svc:9101"),))


def publish(api: ApiServer, revision: int) -> None:
    data, binary = to_config_map_data(table(revision))
    api.put("configmaps", NAME, data=data, binaryData=binary)


class Follower:
    """A RoutingConfigMap and the tables that it handed out."""

    def __init__(self, on_change: Callable[[RoutingTable], None] | None = None) -> None:
        self.taken: queue.Queue[RoutingTable] = queue.Queue()
        server = api_server.ApiServer.find("")
        assert server.namespace == NAMESPACE
        self.source = RoutingConfigMap(server.http(), server.namespace, NAME, on_change or self.taken.put)
        with capture_logs() as self.logs:
            self.source.start()

    def next(self) -> int:
        return self.taken.get(timeout=DEADLINE_S).revision


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    made: list[Follower] = []

    def make(on_change: Callable[[RoutingTable], None] | None = None) -> Follower:
        made.append(Follower(on_change))
        return made[-1]

    yield make
    for follower in made:
        follower.source.stop()


Follow = Callable[..., Follower]


def test_the_table_that_is_there_is_taken_before_start_returns(api: ApiServer, follow: Follow) -> None:
    publish(api, 3)
    assert follow().taken.get_nowait() == table(3)


def test_every_change_is_taken_through_one_watch(api: ApiServer, follow: Follow) -> None:
    follower = follow()
    for revision in (1, 2, 9):
        publish(api, revision)
        assert follower.next() == revision
    assert len(api.requests) == 2, "one list, one watch"


def test_another_config_map_is_none_of_our_business(api: ApiServer, follow: Follow) -> None:
    data, binary = to_config_map_data(table(7))
    api.put("configmaps", "other", data=data, binaryData=binary)
    follower = follow()
    api.put("configmaps", "other", data={})
    publish(api, 1)
    assert follower.next() == 1


@pytest.mark.parametrize("break_off", [ApiServer.end_watches, ApiServer.forget])
def test_a_watch_that_ends_is_begun_anew(
    api: ApiServer, follow: Follow, break_off: Callable[[ApiServer], None]
) -> None:
    """Also from a version that the server has forgotten; what happened meanwhile is not missed."""
    publish(api, 1)
    follower = follow()
    assert follower.next() == 1
    wait_until("a watch", lambda: api.watches == 1)
    break_off(api)
    publish(api, 2)
    assert follower.next() == 2
    wait_until("a watch", lambda: api.watches == 1)
    publish(api, 3)
    assert follower.next() == 3


@pytest.mark.parametrize("status", [500, 429, 403, 410])
def test_the_last_table_stays_while_the_server_refuses(api: ApiServer, follow: Follow, status: int) -> None:
    publish(api, 1)
    follower = follow()
    assert follower.next() == 1
    with capture_logs() as logs:
        with api.refuses(status):

            def is_refused_again() -> bool:
                # Again and again: the first watch may just be on its way.
                api.end_watches()
                return api.refused >= 2

            wait_until("it is refused again", is_refused_again)
        publish(api, 2)
        assert follower.next() == 2
    told = [entry for entry in logs if entry["event"] == "routing table kept"]
    assert len(told) == 1, "a lasting trouble is told once"
    assert told[0]["config_map"] == f"{NAMESPACE}/{NAME}"
    assert "not now" in told[0]["reason"]


def test_start_returns_while_the_server_is_away_and_the_table_comes_later(
    api: ApiServer, follow: Follow
) -> None:
    publish(api, 1)
    with api.refuses(503):
        follower = follow()
    assert follower.next() == 1
    assert any("not now" in entry["reason"] for entry in follower.logs)


def test_a_config_map_that_comes_later_is_taken(api: ApiServer, follow: Follow) -> None:
    follower = follow()
    assert follower.taken.empty()
    publish(api, 0)
    assert follower.next() == 0


def test_neither_an_older_nor_an_equal_revision_is_taken(api: ApiServer, follow: Follow) -> None:
    publish(api, 5)
    follower = follow()
    assert follower.next() == 5
    with capture_logs() as logs:
        for revision in (4, 5, 6):
            publish(api, revision)
        assert follower.next() == 6
    assert [entry["reason"] for entry in logs] == ["revision 4 is older than 5"]


@pytest.mark.parametrize("damage", [{}, {TABLE_KEY: "!"}, {TABLE_KEY: "bm8="}, {"other": "bm8="}])
def test_damage_and_deletion_change_nothing_and_are_told(
    api: ApiServer, follow: Follow, damage: dict[str, str]
) -> None:
    publish(api, 1)
    follower = follow()
    assert follower.next() == 1
    with capture_logs() as logs:
        api.put("configmaps", NAME, binaryData=damage)
        api.remove("configmaps", NAME)
        publish(api, 2)
        assert follower.next() == 2
    first, second = (entry["reason"] for entry in logs)
    assert TABLE_KEY in first
    assert second == f"there is no ConfigMap {NAMESPACE}/{NAME}"


def test_a_table_that_could_not_be_applied_is_tried_again_and_told_once(
    api: ApiServer, follow: Follow
) -> None:
    attempts: queue.Queue[int] = queue.Queue()

    def fail_twice(found: RoutingTable) -> None:
        attempts.put(found.revision)
        if attempts.qsize() <= 2:
            raise OSError("no room")

    publish(api, 1)
    with capture_logs() as logs:
        follower = follow(fail_twice)
        wait_until("three attempts", lambda: attempts.qsize() == 3)
    assert [entry["event"] for entry in follower.logs] == ["routing table not applied"]
    assert logs == []


def test_a_look_takes_what_no_watch_has_told(api: ApiServer, follow: Follow) -> None:
    """A caller may know of a collection before this follower does."""
    publish(api, 1)
    follower = follow()
    assert follower.next() == 1
    wait_until("a watch", lambda: api.watches == 1)
    _publish_unseen(api, 2)
    follower.source.look()
    assert follower.taken.get_nowait().revision == 2


def test_many_looks_are_few_requests(api: ApiServer, follow: Follow) -> None:
    publish(api, 1)
    follower = follow()
    before = len(api.requests)
    for _ in range(50):
        follower.source.look()
    assert len(api.requests) - before <= 3


def test_a_look_after_the_end_does_nothing(api: ApiServer, follow: Follow) -> None:
    publish(api, 1)
    server = api_server.ApiServer.find("elsewhere")
    taken: list[RoutingTable] = []
    source = RoutingConfigMap(server.http(), NAMESPACE, NAME, taken.append)
    source.start()
    source.stop()
    publish(api, 2)
    source.look()
    assert [found.revision for found in taken] == [1]


def _publish_unseen(api: ApiServer, revision: int) -> None:
    """Change the object and tell no watch."""
    obj: dict[str, Any] | None = api.get("configmaps", NAME)
    assert obj is not None
    obj["data"], obj["binaryData"] = to_config_map_data(table(revision))
