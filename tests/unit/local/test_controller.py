from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hanax.core.errors import DataLoss, FailedPrecondition
from hanax.core.model_routes import ModelRoute
from hanax.core.routing import NodeRoute, RoutingTable
from hanax.core.specs import CollectionSpec
from hanax.local.controller import Controller, read_table
from hanax.runtime.catalog_folder import CatalogFolder

NODE: tuple[NodeRoute, ...] = (NodeRoute(name="shard-0", address="127.0.0.1:1"),)


MODEL = ModelRoute(name="m", dimension=4, max_tokens=8, endpoints=("127.0.0.1:3",))


class Folder:
    """A catalog, a routing file, and the nodes that a controller is told."""

    def __init__(self, root: Path) -> None:
        self.path = root / "catalog"
        self.catalog = CatalogFolder(self.path)
        self.file = root / "routing.json"
        self.nodes = NODE
        self.clock_s: Callable[[], float] = time.monotonic

    def controller(self) -> Controller:
        return Controller(self.path, self.file, lambda: self.nodes, self.clock_s)

    def create(self, name: str) -> None:
        self.catalog.create(CollectionSpec(name=name, dimension=4), 1)

    def written(self) -> list[str]:
        return [route.spec.name for route in read_table(self.file).collections]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def until(what: Callable[[], bool], within_s: float) -> float:
    """Seconds until it was true."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < within_s, "not in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


def test_it_writes_what_is_declared(folder: Folder) -> None:
    folder.create("a")
    assert folder.controller().reconcile()
    assert folder.written() == ["a"]


def test_it_writes_nothing_when_nothing_changed(folder: Folder) -> None:
    folder.create("a")
    controller = folder.controller()
    controller.reconcile()
    before = folder.file.stat()
    assert not controller.reconcile()
    assert not folder.controller().reconcile()
    after = folder.file.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_placement_and_revision_go_on_after_a_restart(folder: Folder) -> None:
    folder.create("a")
    folder.controller().reconcile()
    first = read_table(folder.file)
    folder.nodes = (NodeRoute(name="shard-new", address="127.0.0.1:2"), *NODE)
    folder.create("b")
    folder.controller().reconcile()
    second = read_table(folder.file)
    assert second.revision == first.revision + 1
    assert second.collection_by_name["a"] == first.collection_by_name["a"]
    assert second.collection_by_name["b"].shards[0].replicas == ("shard-new",)


def test_models_are_taken_up(folder: Folder) -> None:
    controller = folder.controller()
    controller.reconcile()
    controller.models = (MODEL,)
    assert controller.reconcile()
    assert read_table(folder.file).models == controller.models


def test_it_is_settled_once_models_are_in_force_for_a_while(folder: Folder) -> None:
    now = [0.0]
    folder.clock_s = lambda: now[0]
    controller = folder.controller()
    controller.reconcile()
    now[0] += 60
    assert not controller.is_settled(), "no models"
    controller.models = (MODEL,)
    assert not controller.is_settled(), "not in force"
    controller.reconcile()
    assert not controller.is_settled(), "nobody had the time to read it"
    now[0] += 1
    assert controller.is_settled()


def test_a_damaged_file_keeps_its_route_and_the_others(folder: Folder) -> None:
    folder.create("a")
    folder.create("b")
    controller = folder.controller()
    controller.reconcile()
    (folder.path / "a.json").write_text("{")
    folder.create("c")
    controller.reconcile()
    assert folder.written() == ["a", "b", "c"]


def test_a_file_that_declares_another_name_is_damaged(folder: Folder) -> None:
    folder.create("a")
    (folder.path / "b.json").write_bytes((folder.path / "a.json").read_bytes())
    folder.controller().reconcile()
    assert folder.written() == ["a"]


def test_a_damaged_routing_file_is_never_planned_over(folder: Folder) -> None:
    folder.file.write_text('{"revision": 3')
    with pytest.raises(DataLoss, match=r"routing\.json is damaged"):
        folder.controller()
    assert folder.file.read_text() == '{"revision": 3'


def test_there_is_an_empty_table_before_the_first(folder: Folder) -> None:
    assert read_table(folder.file) == RoutingTable()


def test_missing_nodes_with_data_are_refused(folder: Folder) -> None:
    folder.create("a")
    folder.controller().reconcile()
    before = folder.file.read_bytes()
    folder.nodes = (NodeRoute(name="another", address="127.0.0.1:2"),)
    with pytest.raises(FailedPrecondition, match="shard-0"):
        folder.controller().reconcile()
    assert folder.file.read_bytes() == before


async def test_it_follows_within_a_tenth_of_a_second(folder: Folder) -> None:
    controller = folder.controller()
    following = asyncio.create_task(controller.follow())
    try:
        took = []
        for number in range(9):
            folder.create(f"c{number}")
            took.append(await until(lambda: len(folder.written()) == 1, 5))
            folder.catalog.delete(f"c{number}", with_aliases=False)
            took.append(await until(lambda: not folder.written(), 5))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    # The median, because the machine may be busy for one of them.
    assert statistics.median(took) < 0.1


async def test_a_switch_of_aliases_is_followed(folder: Folder) -> None:
    """Aliases lie in a file of their own, of which the collections' files say nothing."""
    for name in ("a", "b"):
        folder.create(name)
    controller = folder.controller()
    following = asyncio.create_task(controller.follow())
    try:
        for target in ("a", "b", "a"):
            folder.catalog.change_aliases({"live": target})
            await until(lambda: controller.table.resolve("live") == target, 5)  # noqa: B023 - awaited here
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_an_edit_in_place_is_seen(folder: Folder) -> None:
    folder.create("a")
    file = folder.path / "a.json"
    os.utime(folder.path, (1, 1))  # the folder is old: only the file itself tells
    controller = folder.controller()
    following = asyncio.create_task(controller.follow())
    try:
        await until(lambda: folder.written() == ["a"], 5)
        whole = file.read_bytes()
        file.write_bytes(whole.replace(b'"uid": "', b'"uid": "f'))
        await until(lambda: len(controller.table.deleted) == 1, 10)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_folder_that_fails_is_tried_again(folder: Folder) -> None:
    folder.create("a")
    controller = folder.controller()
    aside = folder.path.with_name("aside")
    folder.path.rename(aside)
    with capture_logs() as logs:
        following = asyncio.create_task(controller.follow())
        try:
            with pytest.raises(FileNotFoundError):
                controller.reconcile()
            await until(lambda: "routing table not renewed" in [entry["event"] for entry in logs], 10)
            aside.rename(folder.path)
            await until(lambda: folder.written() == ["a"], 10)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
