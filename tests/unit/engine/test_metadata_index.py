"""Metadata indexes: what they cover, what they leave to the exact evaluation, and how they are kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from hanax.core.distances import Metric
from hanax.core.errors import Cancelled, DataLoss, NoTextIndex
from hanax.core.filter_parsing import parse_filter_json
from hanax.core.filters import And, Condition, Filter, Not, Operator
from hanax.core.ids import encode_id
from hanax.engine.filters import collecting, finishing
from hanax.engine.filters.collecting import MAX_PATHS, Collector
from hanax.engine.filters.conditions import resolve
from hanax.engine.filters.evaluation import compile_filter
from hanax.engine.filters.metadata_index import MetadataIndex
from hanax.engine.query.matching import Matching
from hanax.engine.query.planning import SCANNED_BESIDE_INDEX_BYTES, Explanation, Plan
from hanax.engine.query.reading import count
from hanax.engine.schema import Schema
from hanax.engine.segment.builder import Part, build_segment
from hanax.engine.segment.growing import GrowingSegment, NewRows
from hanax.engine.segment.metadata_indexes import ARRAYS_FILE, PATHS_FILE
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.shard import ShardOptions
from hanax.engine.storage.files import read_document, write_document
from tests.unit.engine.gates import MetadataGate
from tests.unit.engine.rigs import DEADLINE_S, Rig
from tests.unit.engine.test_filters_table import ID, ROWS

QUERY = np.zeros((1, 2), np.float32)


def where(field: str, operator: str, value: Any) -> Condition:
    return Condition(tuple(field.split(".")), Operator(operator), value)


def matches(rig: Rig, documents: list[dict[str, Any]], expression: Filter) -> bool:
    """Whether the shard counts what the exact evaluation does. Ids are the documents' places."""
    predicate = compile_filter(expression)
    truth = sum(predicate(document, encode_id(id_)) for id_, document in enumerate(documents))
    return rig.shard.count(expression) == truth


def fill(rig: Rig, documents: list[dict[str, Any]]) -> None:
    for first in range(0, len(documents), 1_000):
        part = documents[first : first + 1_000]
        rig.upsert(list(range(first, first + len(part))), None, part)


def sealed_of(rig: Rig) -> SealedSegment:
    (path,) = (rig.folder / "segments").iterdir()
    return SealedSegment(path, rig.schema)


def unread(*_: object) -> Any:
    raise AssertionError("metadata were read")


def test_a_sealed_segment_answers_without_reading_metadata(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it was just opened: the columns are mapped, not made."""
    documents = [{"year": 1990 + number % 40, "tags": ["a", number % 3]} for number in range(2_000)]
    with Rig(folder / "s") as rig:
        fill(rig, documents)
        rig.shard.seal()
        rig.reopen()
        monkeypatch.setattr(SealedSegment, "metadata", unread)
        monkeypatch.setattr(orjson, "loads", unread)
        assert matches(rig, documents, And((where("year", "gte", 2020), where("tags", "contains", 1))))
        assert matches(rig, documents, Not(where("nobody", "exists", True)))


def test_a_segment_of_the_format_before_is_read_row_by_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it gets an index, in the background."""
    documents = [{"year": number % 40} for number in range(100)]
    with Rig(folder / "s") as rig:
        fill(rig, documents)
        rig.shard.seal()
        rig.close()
        (path,) = (rig.folder / "segments").iterdir()
        body = read_document(path / "segment.json", 2)
        for name in (ARRAYS_FILE, PATHS_FILE):
            (path / name).unlink()
            del body["files"][name]
        write_document(path / "segment.json", body | {"format": 1})
        gate = MetadataGate(monkeypatch)
        rig.open()
        assert gate.reached.wait(DEADLINE_S)
        assert matches(rig, documents, where("year", "lt", 10))
        assert rig.shard.stats().metadata.unindexed_rows == 100
        gate.go.set()
        assert rig.shard.wait_until_indexed(DEADLINE_S)
        assert rig.shard.stats().metadata.unindexed_rows == 0
        assert matches(rig, documents, where("year", "lt", 10))


def test_a_format_of_tomorrow_is_refused(folder: Path) -> None:
    with Rig(folder / "s") as rig:
        fill(rig, [{}])
        rig.shard.seal()
        (path,) = (rig.folder / "segments").iterdir()
        write_document(path / "segment.json", read_document(path / "segment.json", 2) | {"format": 3})
        with pytest.raises(DataLoss, match="has format 3; this version reads 1 and 2"):
            sealed_of(rig)


@pytest.mark.parametrize("name", [ARRAYS_FILE, PATHS_FILE])
def test_a_damaged_index_is_named(folder: Path, name: str) -> None:
    with Rig(folder / "s") as rig:
        fill(rig, [{"a": 1}, {"a": "b"}])
        rig.shard.seal()
        (path,) = (rig.folder / "segments").iterdir()
        damaged = bytearray((path / name).read_bytes())
        damaged[len(damaged) // 2] ^= 1
        (path / name).write_bytes(damaged)
        with pytest.raises(DataLoss, match=name):
            sealed_of(rig)


@pytest.mark.parametrize("pins", [{}, {"title": "text", "title.en": "text", "at": "geo", "day": "datetime"}])
def test_the_table_of_the_rules(pins: dict[str, str]) -> None:
    """Row by row of docs/filters.md: what the columns know agrees, and they know nearly all."""
    surely = 0
    for row in ROWS:
        expression = parse_filter_json(row.expression)
        collector = Collector(pins)
        collector.add([row.metadata])
        known = resolve(
            expression, collector.finish(), lambda ids: np.zeros(int(ID in ids), np.uint32)
        ).bounds()
        lower, upper = bool(known.lower[0]), bool(known.upper[0])
        assert lower <= row.matches <= upper, row
        surely += lower is upper
    assert surely >= len(ROWS) * 0.8


def test_equal_elements_of_an_array_are_one_match(folder: Path) -> None:
    """Sizes in the index count as matches where nothing else is asked."""
    documents: list[dict[str, Any]] = [{"a": ["x", "x", 1, 1, 1.0, True, True, None, None]}] * 3
    with Rig(folder / "s") as rig:
        fill(rig, documents)
        rig.shard.seal()
        for value in ("x", 1, True, None):
            assert rig.shard.count(where("a", "eq", value)) == 3
            (one,) = plans(rig, where("a", "eq", value))
            assert one.matched == one.estimate.most == 3


# What is left out


def test_paths_beyond_the_most_are_evaluated_row_by_row(folder: Path) -> None:
    documents = [{f"f{number:04d}": number % 5} for number in range(MAX_PATHS + 20)]
    with Rig(folder / "s") as rig:
        fill(rig, documents)
        rig.shard.seal()
        stats = rig.shard.stats().metadata
        assert stats.paths == MAX_PATHS
        assert stats.more_left_out
        for number in (0, MAX_PATHS - 1, MAX_PATHS, MAX_PATHS + 19):
            assert matches(rig, documents, where(f"f{number:04d}", "eq", number % 5))
        assert matches(rig, documents, where("nobody", "exists", False))


def test_a_path_that_is_too_large_is_let_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory while collecting is bounded; the other paths stay indexed."""
    monkeypatch.setattr(collecting, "_BYTES", 100_000)
    monkeypatch.setattr(collecting, "_BYTES_PER_ROW", 0)
    documents = [{"title": f"title {number} " + "x" * 200, "year": number % 9} for number in range(1_000)]
    with Rig(folder / "s") as rig:
        fill(rig, documents)
        rig.shard.seal()
        stats = rig.shard.stats().metadata
        assert (stats.paths, stats.left_out, stats.more_left_out) == (1, ("title",), False)
        assert matches(rig, documents, where("title", "starts_with", "title 7"))
        assert matches(rig, documents, And((where("title", "ends_with", "x"), where("year", "eq", 4))))


def test_long_texts_stay_where_they_lie(folder: Path) -> None:
    """A path may hold both: rows with a long one are looked at, the others are indexed."""
    documents: list[dict[str, Any]] = [{"body": "short"}, {"body": "s" * 5_000}, {"body": ["a", "s" * 5_000]}]
    with Rig(folder / "s") as rig:
        fill(rig, documents)
        rig.shard.seal()
        assert rig.shard.stats().metadata.bytes < 2_000
        for expression in (
            where("body", "starts_with", "s"),
            where("body", "eq", "s" * 5_000),
            where("body", "ne", "short"),
            where("body", "eq", "a"),
        ):
            assert matches(rig, documents, expression)


def test_pins_say_what_is_built_and_change_no_answer(folder: Path) -> None:
    documents: list[dict[str, Any]] = [{"a": 7, "b": "x"}, {"a": "7", "b": "y"}, {"a": [7, "7"]}, {}]
    pins = {"a": "integer", "b": "none"}
    with Rig(folder / "s", options=ShardOptions(payload_indexes=pins)) as rig:
        fill(rig, documents)
        rig.shard.seal()
        assert rig.shard.stats().metadata.left_out == ("b",)
        for value in (7, "7"):
            assert matches(rig, documents, where("a", "eq", value))
            assert matches(rig, documents, where("a", "ne", value))
        assert matches(rig, documents, where("b", "eq", "y"))
        # Said anew at every opening.
        rig.options = ShardOptions(payload_indexes={"b": "text"})
        rig.reopen()
        assert rig.shard.count(where("b", "text", "Y")) == 1


# Text


@pytest.mark.parametrize("operator", ["text", "phrase"])
def test_words_need_a_text_index(folder: Path, operator: str) -> None:
    """Said before anything is read or deleted, also of an empty shard and deep in an expression."""
    expression = Not(And((where("a", "eq", 1), where("title", operator, "fox"))))
    with Rig(folder / "s", options=ShardOptions(payload_indexes={"title": "keyword"})) as rig:
        reads: list[Callable[[], object]] = [
            lambda: rig.shard.search(QUERY, 1, expression=expression),
            lambda: rig.shard.scroll(None, 1, expression),
            lambda: rig.shard.count(expression),
            lambda: rig.shard.delete_matching(expression),
        ]
        for read in reads:
            with pytest.raises(NoTextIndex, match="'title' is not pinned as text"):
                read()


# The growing segment


def test_few_rows_of_the_growing_segment_are_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen runs are decoded once for all filters to come; runs join as they grow."""
    documents = [{"year": number % 50} for number in range(5_000)]
    with Rig(folder / "s") as rig:
        fill(rig, documents)
        view = rig.shard._state.current
        assert matches(rig, documents, where("year", "lt", 10))
        chunks = view.segments[-1].segment.metadata_indexes(5_000)
        assert [chunk.index.rows for chunk in chunks] == [2_048, 2_048, 256, 256, 256]
        monkeypatch.setattr(Collector, "add", unread)
        assert matches(rig, documents, where("year", "gte", 49))


def test_a_picture_from_before_ends_where_it_ended(folder: Path) -> None:
    """Also inside a run that was frozen since, for somebody who knew more rows."""
    with Rig(folder / "s") as rig:
        fill(rig, [{"a": 1}] * 1_000)
        before = rig.shard._state.current
        rig.upsert(list(range(1_000, 2_100)), None, [{"a": 1}] * 1_100)
        assert rig.shard.count(where("a", "eq", 1)) == 2_100
        for expression in (where("a", "eq", 1), Not(where("a", "eq", 2)), Not(where("b", "exists", True))):
            assert count(before, expression) == 1_000
            assert Matching(before.segments[-1], expression).estimate.most == 1_000
        assert count(before, where("a", "ne", 1)) == 0


# Plans


def plans(rig: Rig, expression: Filter | None) -> list[Explanation]:
    explanations: list[Explanation] = []
    rig.shard.search(QUERY, 3, expression=expression, explain=explanations)
    return [one for one in explanations if one.rows]


def test_the_plan_goes_by_how_many_match(folder: Path) -> None:
    few = SCANNED_BESIDE_INDEX_BYTES // 8
    rows = few + 1_000
    documents = [{"all": 1, "most": int(number < few + 500), "one": number} for number in range(rows)]
    with Rig(folder / "s") as rig:
        for first in range(0, rows, 2_000):
            rig.upsert(list(range(first, min(first + 2_000, rows))), None, documents[first : first + 2_000])
        rig.shard.compact()
        table: list[tuple[Filter | None, Plan, int, str]] = [
            (None, Plan.WHOLE, rows, "there is no filter"),
            (where("all", "eq", 1), Plan.WHOLE, rows, "every row matches"),
            (where("most", "eq", 1), Plan.MASKED, few + 500, "matching rows"),
            (where("one", "lt", few), Plan.SCAN, few, "few enough"),
            (where("one", "eq", -1), Plan.NONE, 0, "nothing can match"),
            (And((where("one", "eq", 5), where("most", "eq", 0))), Plan.NONE, 0, "nothing matches"),
        ]
        for expression, plan, matched, reason in table:
            (one,) = plans(rig, expression)
            assert (one.plan, one.matched) == (plan, matched), expression
            assert one.estimate.least <= matched <= one.estimate.most
            assert reason in one.reason or plan is Plan.MASKED
            assert (one.rows, one.live_rows, one.segment) == (rows, rows, sealed_of(rig).name)


def test_dead_rows_are_no_matches(folder: Path) -> None:
    with Rig(folder / "s") as rig:
        fill(rig, [{"a": 1}] * 100)
        rig.shard.seal()
        rig.delete(list(range(50)))
        (one,) = plans(rig, where("a", "eq", 1))
        assert (one.plan, one.matched, one.live_rows) == (Plan.SCAN, 50, 50)
        rig.delete(list(range(100)))
        (one,) = plans(rig, where("a", "eq", 1))
        assert (one.plan, one.matched) == (Plan.NONE, 0)


def test_fields_that_nobody_has_are_told(folder: Path) -> None:
    """They match nothing, which is easily taken for an empty answer."""
    expression = And((where("a.b", "eq", 1), Not(where("nobody", "eq", 1)), where("a.c", "exists", False)))
    with Rig(folder / "s") as rig:
        fill(rig, [{"a": {"b": 1}}])
        rig.shard.seal()
        rig.upsert([7], None, [{"a": {"c": 1}}])
        sealed, growing = plans(rig, expression)
        assert sealed.unknown_fields == ("a.c", "nobody")
        assert (growing.segment, growing.unknown_fields) == ("growing", ("a.b", "nobody"))


def test_many_texts_are_sorted_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finishing, "_PIECE", 4)
    texts = [f"{number * 7 % 50:02d}" for number in range(50)]
    collector = Collector({})
    collector.add([orjson.dumps({"a": text}) for text in texts])
    columns = collector.finish().columns("a")
    assert columns is not None
    strings = columns.strings["texts"]
    assert [strings[place].decode() for place in range(len(strings))] == sorted(texts)
    assert [texts[row] for row in columns.postings["texts"].rows.tolist()] == sorted(texts)


class StopsAfter(threading.Event):
    """Is set when it was looked at so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("looks", range(8))
def test_finishing_is_cut_short(monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    """Between paths, and in one: while its texts are sorted, looked up, and cut into words."""
    monkeypatch.setattr(finishing, "_PIECE", 20)
    collector = Collector({"a": "text"})
    collector.add([orjson.dumps({"a": f"word{number}", "b": 1}) for number in range(50)])
    stopped = StopsAfter(looks)
    with pytest.raises(Cancelled):
        collector.finish(stopped)
    assert stopped.looks == -1, "nothing more was done"


def test_a_segment_whose_metadata_are_being_indexed_is_cut_short(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = GrowingSegment(Schema.single(2, Metric.EUCLIDEAN))
    stopped, finish = threading.Event(), Collector.finish
    finished: list[str] = []

    def closing(collector: Collector, stopped_: threading.Event | None = None) -> MetadataIndex:
        stopped.set()
        index = finish(collector, stopped_)
        finished.append("in vain")
        return index

    monkeypatch.setattr(Collector, "finish", closing)
    rows = NewRows(
        [b"1"],
        np.zeros(1, np.uint64),
        [b'{"a":1}'],
        {"default": np.zeros((1, 2), np.float32)},
        np.zeros(1, np.int64),
        0,
        1,
    )
    growing.append(rows)
    with pytest.raises(Cancelled):
        build_segment(
            folder / "s", Schema.single(2, Metric.EUCLIDEAN), [Part(growing, np.arange(1))], stopped
        )
    assert finished == []
    assert list(folder.iterdir()) == []


def test_an_index_saved_and_loaded_is_the_same(folder: Path) -> None:
    """Its arrays and its document are all there is to it."""
    collector = Collector({})
    collector.add([orjson.dumps({"a": [1, 2.5, "x", None], "b": {"lat": 1, "lon": 2}}), b"{}"])
    index = collector.finish()
    document, pieces = index.saved()
    data = b"".join(bytes(piece) for piece in pieces)
    again = type(index).load(orjson.loads(orjson.dumps(document)), np.frombuffer(data, np.uint8))
    second, others = again.saved()
    assert second == document
    assert b"".join(bytes(piece) for piece in others) == data
    assert again.paths == {"a", "b", "b.lat", "b.lon"}
