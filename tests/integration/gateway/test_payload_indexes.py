"""Pins of metadata fields over REST, on shard processes: changed while the collection lives, and told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.gateway.refusals import check_error
from tests.integration.gateway.stack import Stack, running_shards
from tests.integration.waiting import wait_until

WORDS = ("tides", "reefs", "ships", "woods", "roots", "dunes", "caves")
COUNT, BATCH, SEGMENT_ROWS = 400, 100, 20


@pytest.fixture(scope="module")
def sealing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Every batch is sealed, on both shards."""
    with running_shards(tmp_path_factory.mktemp("sealing"), segment_max_rows=SEGMENT_ROWS) as running:
        yield running


def title(number: int) -> str:
    return f"{WORDS[number % 7].upper()} and {WORDS[number % 3]}"


def titles_with(*words: str, count: int = COUNT) -> set[int]:
    return {number for number in range(count) if {*words} <= {*title(number).lower().split()}}


def fill(stack: Stack, name: str, first: int = 0, count: int = COUNT) -> None:
    for start in range(first, first + count, BATCH):
        stack.insert(
            name,
            [
                {"id": number, "vector": [1, number, 0], "metadata": {"title": title(number), "n": number}}
                for number in range(start, start + BATCH)
            ],
        )


def describe(stack: Stack, name: str) -> Any:
    return stack.data(stack.client.get(f"/api/v1/collections/{name}"))


def sealed(stack: Stack, name: str) -> Any:
    """The description, once all points are in segments."""

    def look() -> Any:
        told = describe(stack, name)
        totals = told["index_totals"]
        return told if totals is not None and totals["unsealed_points"] == 0 else None

    return wait_until(f"{name} is sealed", look)


def pin(stack: Stack, name: str, **pins: str) -> Any:
    body = {"payload_indexes": pins}
    return stack.data(stack.client.patch(f"/api/v1/collections/{name}", json=body))


def words(operator: str, value: str) -> dict[str, Any]:
    return {"field": "title", "operator": operator, "value": value}


def count(stack: Stack, name: str, condition: object) -> int:
    body = {"collection": name, "filter": condition}
    counted: int = stack.data(stack.post("/api/v1/vectors/count", body))["count"]
    return counted


def found(stack: Stack, name: str, condition: object) -> set[int]:
    body = {"collection": name, "vector": [1, 1, 0], "limit": 1_000, "filter": condition}
    return {hit["id"] for hit in stack.data(stack.post("/api/v1/vectors/search", body))["results"]}


def check_refused(stack: Stack, name: str) -> None:
    body = {"collection": name, "filter": words("text", "tides")}
    check_error(stack.post("/api/v1/vectors/count", body), 422, "no_text_index")


def check_words(stack: Stack, name: str, points: int = COUNT) -> None:
    """By every way to the points: their own texts say what is right."""
    both = titles_with("reefs", "tides", count=points)
    assert both
    assert found(stack, name, words("text", "Tides REEFS")) == both
    assert count(stack, name, words("text", "tid*")) == len(titles_with("tides", count=points))
    assert count(stack, name, words("phrase", "caves and")) == len(titles_with("caves", count=points))
    assert count(stack, name, {"not": words("text", "tides")}) == points - len(
        titles_with("tides", count=points)
    )
    body = {"collection": name, "filter": words("text", "reefs tides"), "order_by": "n", "limit": 500}
    page = stack.data(stack.post("/api/v1/vectors/scroll", body))["vectors"]
    assert [point["id"] for point in page] == sorted(both)


def test_a_field_is_pinned_as_text_when_points_are_sealed_already(sealing: Stack) -> None:
    """Right at once: before the segments have the new index, after, and for what is written since."""
    sealing.create("pinned", metric="euclidean")
    fill(sealing, "pinned")
    assert sealed(sealing, "pinned")["index_totals"]["segments"]["built"] >= 2
    check_refused(sealing, "pinned")
    assert pin(sealing, "pinned", title="text")["payload_indexes"] == {"title": "text"}
    for _ in range(20):
        check_words(sealing, "pinned")
    fill(sealing, "pinned", first=COUNT, count=BATCH)
    check_words(sealing, "pinned", COUNT + BATCH)
    listed = sealing.data(sealing.client.get("/api/v1/collections"))["collections"]
    assert next(one for one in listed if one["name"] == "pinned")["payload_indexes"] == {"title": "text"}
    gone = {"collection": "pinned", "filter": words("text", "woods")}
    deleted = sealing.data(sealing.post("/api/v1/vectors/delete", gone))["deleted"]
    assert deleted == len(titles_with("woods", count=COUNT + BATCH))
    assert count(sealing, "pinned", words("text", "woods")) == 0


def test_a_field_is_unpinned(sealing: Stack) -> None:
    """Words are refused from then on; what else is asked of the field stays right."""
    sealing.create("unpinned", metric="euclidean", payload_indexes={"title": "text", "n": "none"})
    fill(sealing, "unpinned")
    sealed(sealing, "unpinned")
    check_words(sealing, "unpinned")
    assert pin(sealing, "unpinned")["payload_indexes"] == {}
    check_refused(sealing, "unpinned")
    same = {number for number in range(COUNT) if title(number) == title(7)}
    for _ in range(20):
        assert found(sealing, "unpinned", words("eq", title(7))) == same
        assert count(sealing, "unpinned", {"field": "n", "operator": "lt", "value": 100}) == 100


def test_pins_hold_after_a_restart(sealing: Stack) -> None:
    """Shards are killed right behind the change: whether segments have their new indexes or not."""
    for name, pins in (("to-words", {}), ("from-words", {"title": "text"})):
        sealing.create(name, metric="euclidean", payload_indexes=pins)
        fill(sealing, name)
        sealed(sealing, name)
    pin(sealing, "to-words", title="text")
    pin(sealing, "from-words")
    for process in sealing.processes:
        process.kill()
    for process in sealing.processes:
        process.start()
    wait_until("the shards are back", lambda: describe(sealing, "to-words")["state"] == "ready")
    wait_until("the shards are back", lambda: describe(sealing, "from-words")["state"] == "ready")
    check_words(sealing, "to-words")
    check_refused(sealing, "from-words")
    same = {number for number in range(COUNT) if title(number) == title(7)}
    assert found(sealing, "from-words", words("eq", title(7))) == same


def test_what_is_left_out_of_a_change_stays(sealing: Stack) -> None:
    sealing.create("partly-pinned", payload_indexes={"title": "text"}, target_recall=0.9)
    answer = sealing.client.patch("/api/v1/collections/partly-pinned", json={"target_recall": 0.99})
    told = sealing.data(answer)
    assert (told["payload_indexes"], told["target_recall"]) == ({"title": "text"}, 0.99)
    told = pin(sealing, "partly-pinned", raw="none")
    assert (told["payload_indexes"], told["target_recall"]) == ({"raw": "none"}, 0.99)


def test_a_description_tells_which_fields_have_an_index(sealing: Stack) -> None:
    sealing.create("told", payload_indexes={"n": "none"})
    assert describe(sealing, "told")["metadata_indexes"] == {
        "fields": 0,
        "fields_left_out": [],
        "field_limit_reached": False,
        "rows_without_index": 0,
        "bytes": 0,
    }
    fill(sealing, "told")
    told = sealed(sealing, "told")["metadata_indexes"]
    assert told.pop("bytes") > 0
    assert told == {
        "fields": 1,
        "fields_left_out": ["n"],
        "field_limit_reached": False,
        "rows_without_index": 0,
    }
    pin(sealing, "told", title="none")
    wait_until(
        "segments are indexed by the new pins",
        lambda: describe(sealing, "told")["metadata_indexes"]["fields_left_out"] == ["title"],
    )
    condition = [words("eq", title(7)), {"field": "n", "operator": "lt", "value": 100}]
    assert found(sealing, "told", condition) == {n for n in range(100) if title(n) == title(7)}


def test_more_fields_than_are_indexed_are_told_and_found_all_the_same(sealing: Stack) -> None:
    """256 fields of a segment have an index; a filter on another looks at the points."""
    sealing.create("wide")
    points = [
        {"id": n, "vector": [1, n, 0], "metadata": {f"f{field}": n for field in range(300)}}
        for n in range(BATCH)
    ]
    sealing.insert("wide", points)
    told = sealed(sealing, "wide")["metadata_indexes"]
    assert (told["fields"], told["field_limit_reached"]) == (256, True)
    assert (told["fields_left_out"], told["rows_without_index"]) == ([], 0)
    for field in range(0, 300, 13):
        condition = {"field": f"f{field}", "operator": "lt", "value": 17}
        assert count(sealing, "wide", condition) == 17
        assert found(sealing, "wide", condition) == set(range(17))
