"""The operation log: batches off the path of requests, a bounded queue, visible gaps, retention."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from hanax.core.errors import DatabaseUnavailable
from hanax.metadata.database import Database, Transaction
from hanax.metadata.operations.log import LogOptions, OperationLog
from hanax.metadata.operations.operation import DROPPED, Noted, Operation, Place, Wanted
from hanax.metadata.operations.store import OperationStore
from tests.integration.waiting import wait_until

NOW_US = 1_700_000_000_000_000
DAY_S = 86_400.0
LINES = 2_000


def operation(number: int, **fields: str) -> Operation:
    """The later, the higher the number."""
    words = {"operation": "search", "collection": "docs", "outcome": "ok"} | fields
    return Operation(
        at_us=NOW_US + number,
        duration_us=5,
        actor="address 10.0.0.1",
        items=number,
        request_id=f"r{number}",
        **words,
    )


@pytest.fixture
def store(database: Database) -> OperationStore:
    return OperationStore(database)


@pytest.fixture
def make_log(store: OperationStore) -> Callable[[int], OperationLog]:
    return lambda queue: OperationLog(store, LogOptions(DAY_S, LINES, queue, "here"), lambda: NOW_US)


async def numbers(store: OperationStore, wanted: Wanted | None = None) -> list[int]:
    """Of all lines, newest first."""
    return [noted.operation.items for noted in await store.page(wanted or Wanted(), 10_000)]


async def test_what_is_noted_is_read_as_it_was(store: OperationStore) -> None:
    noted = operation(3, operation="insert", outcome="partial_write")
    await store.add([noted], "gateway-0")
    (found,) = await store.page(Wanted(), 10)
    assert found == Noted(found.id, "gateway-0", noted)


async def test_pages_are_newest_first_and_neither_skip_nor_repeat(store: OperationStore) -> None:
    """Also among lines of one instant, and while newer ones come."""
    await store.add([operation(number // 3) for number in range(20)], "a")
    seen: list[Noted] = []
    place = None
    while page := await store.page(Wanted(), 6, place):
        seen += page
        place = Place(page[-1].operation.at_us, page[-1].id)
        await store.add([operation(99)], "b")
    assert [noted.instance for noted in seen] == ["a"] * 20
    assert len({noted.id for noted in seen}) == 20
    instants = [noted.operation.at_us for noted in seen]
    assert instants == sorted(instants, reverse=True)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), [4, 3, 2, 1]),
        (Wanted(collection="docs"), [4, 2, 1]),
        (Wanted(operation="insert"), [3, 2]),
        (Wanted(outcome="not_found"), [4]),
        (Wanted("docs", "insert", "ok"), [2]),
        (Wanted(collection="none"), []),
    ],
)
async def test_filters_hold_together(store: OperationStore, wanted: Wanted, expected: list[int]) -> None:
    lines = [
        operation(1),
        operation(2, operation="insert"),
        operation(3, operation="insert", collection="other"),
        operation(4, outcome="not_found"),
    ]
    await store.add(lines, "a")
    assert await numbers(store, wanted) == expected


async def test_text_that_a_database_refuses_is_kept_as_well_as_can_be(store: OperationStore) -> None:
    await store.add([operation(1, collection="a\0b\ud800" + "x" * 300)], "a")
    (found,) = await store.page(Wanted(), 10)
    assert found.operation.collection.startswith("a\N{REPLACEMENT CHARACTER}b?x")
    assert len(found.operation.collection) == 255


async def test_lines_are_written_by_themselves_in_batches(
    database: Database, store: OperationStore, make_log: Callable[[int], OperationLog]
) -> None:
    seen: list[Transaction] = []
    database.observe(seen.append)
    log = make_log(10_000)
    log.start()
    for number in range(1_000):
        log.note(operation(number))
    await asyncio.to_thread(wait_until, "all are written", lambda: log.waiting == 0)
    assert len(seen) <= 5
    assert await numbers(store) == list(reversed(range(1_000)))
    await log.close()


async def test_the_end_writes_what_waits(
    store: OperationStore, make_log: Callable[[int], OperationLog]
) -> None:
    log = make_log(10_000)
    log.start()
    for number in range(300):
        log.note(operation(number))
    await log.close()
    assert len(await numbers(store)) == 300


async def test_a_full_queue_drops_counts_and_says_so_in_the_log(
    database: Database, store: OperationStore, make_log: Callable[[int], OperationLog]
) -> None:
    """While the database is away the queue fills; who reads the log later sees how many are missing."""
    log = make_log(3)
    database.refuse(DatabaseUnavailable("away"))
    log.start()
    for number in range(10):
        log.note(operation(number))
    assert (log.waiting, log.dropped) == (3, 7)
    with pytest.raises(DatabaseUnavailable):
        await log.flush()
    assert (log.waiting, log.dropped) == (3, 7)
    database.refuse(None)
    await log.close()

    lines = await store.page(Wanted(), 10)
    gaps = [line.operation.items for line in lines if line.operation.operation == DROPPED]
    assert gaps == [7]
    assert sorted(line.operation.items for line in lines if line.operation.operation != DROPPED) == [0, 1, 2]
    assert log.dropped == 7
    assert await log.flush() == 0


async def test_an_end_while_the_database_is_away_tells_what_is_lost(
    database: Database, make_log: Callable[[int], OperationLog], capsys: pytest.CaptureFixture[str]
) -> None:
    log = make_log(10)
    database.refuse(DatabaseUnavailable("away"))
    log.start()
    for number in range(4):
        log.note(operation(number))
    await log.close()
    assert (log.waiting, log.dropped) == (0, 4)
    assert "not noted" in capsys.readouterr().out


async def test_a_line_that_the_database_never_takes_does_not_stop_the_log(
    database: Database, store: OperationStore, make_log: Callable[[int], OperationLog]
) -> None:
    """A defect, as a table that is gone: the lines are dropped and counted."""
    log = make_log(10)
    await database.run(
        lambda connection: connection.execute(text("ALTER TABLE operation_log RENAME TO elsewhere"))
    )
    log.note(operation(1))
    await log.flush()
    assert (log.waiting, log.dropped) == (0, 1)
    await database.run(
        lambda connection: connection.execute(text("ALTER TABLE elsewhere RENAME TO operation_log"))
    )
    log.note(operation(2))
    await log.flush()
    assert sorted(await numbers(store)) == [1, 2]  # one was dropped, and number 2


async def test_old_lines_are_removed_in_parts(
    store: OperationStore, make_log: Callable[[int], OperationLog], database: Database
) -> None:
    """Those that are older than a day; more than one part of them."""
    day_us = round(DAY_S * 1e6)
    old = [operation(-day_us - 1 - number) for number in range(1_500)]
    new = [operation(-day_us), operation(0)]
    await store.add(old, "a")
    await store.add(new, "a")
    seen: list[Transaction] = []
    database.observe(seen.append)
    assert await make_log(10).forget() == 1_500
    assert [one.kind for one in seen].count("run") == 2
    assert await store.count() == 2


async def test_no_more_lines_are_kept_than_may_be_the_newest(
    store: OperationStore, make_log: Callable[[int], OperationLog]
) -> None:
    """However young they are."""
    for first in (0, 1_700):
        await store.add([operation(number) for number in range(first, first + 1_700)], "a")
    assert await make_log(10).forget() == 3_400 - LINES
    assert await numbers(store) == list(range(3_399, 3_399 - LINES, -1))
    assert await make_log(10).forget() == 0


async def test_two_that_remove_at_once_remove_each_line_once(
    store: OperationStore, make_log: Callable[[int], OperationLog]
) -> None:
    await store.add([operation(-round(2 * DAY_S * 1e6)) for _ in range(1_500)], "a")
    removed = await asyncio.gather(*(make_log(10).forget() for _ in range(2)))
    assert sum(removed) == 1_500
    assert await store.count() == 0
