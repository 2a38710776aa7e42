"""Files of items: however a file is divided, its parts hold each item once, in order, with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanax.batch_processor.sources import MAX_ROW_BYTES, Item, Part, Source, parquet
from hanax.batch_processor.sources.jsonl import JsonLines
from hanax.batch_processor.sources.matrices import Fvecs, Npy
from hanax.batch_processor.sources.opening import open_source
from hanax.batch_processor.sources.parquet import Parquet
from hanax.batch_processor.sources.separated import SeparatedValues
from hanax.core.errors import HanaxError, InvalidUpload
from hanax.core.job_specs import BulkEmbed, BulkInsert, JobKind, UploadFormat

Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(data: bytes) -> Path:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return path

    return write


def whole(source: Source, size: int = 1_000_000) -> list[Item]:
    return [item for part in source.divide(size, None) for item in source.read(part, 0)]


def check_division(source: Source, size: int) -> list[Part]:
    """Parts follow one another, a division goes on behind any of them, and a part is read from any item."""
    parts = list(source.divide(size, None))
    expected = [_told(item) for item in whole(source)]
    assert [item for part in parts for item in map(_told, source.read(part, 0))] == expected
    first = 0
    for place, part in enumerate(parts):
        assert part.first == first
        assert list(source.divide(size, part)) == parts[place + 1 :]
        # As a database gives it back.
        kept = Part(part.first, part.count, orjson.loads(orjson.dumps(part.position)))
        skip = part.count // 2
        found = [_told(item) for item in source.read(kept, skip)]
        assert found == expected[first + skip : first + part.count]
        first += part.count
    assert first == len(expected)
    return parts


def _told(item: Item) -> tuple[Any, ...]:
    fields = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in item.fields.items()
    }
    return item.number, item.line, fields, item.fault.message if item.fault else None


# --- JSON lines -----------------------------------------------------------------------------

ROWS = st.dictionaries(st.text(max_size=5), st.integers(-5, 5) | st.text(max_size=8), max_size=3)
LINES = st.lists(
    st.one_of(
        ROWS.map(orjson.dumps),
        st.sampled_from([b"", b"  ", b"{broken", b"[1]", b"null", b"\xff\xfe", b'{"a":1} x', b"\x0b"]),
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(LINES, st.integers(1, 5), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_json_lines_are_items_or_faults_with_their_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], size: int, end: bytes, last_end: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    path.write_bytes(end.join(lines) + (end if last_end else b""))
    source = JsonLines(path)
    check_division(source, size)
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    items = whole(source)
    assert [item.line for item in items] == [number for number, _ in numbered]
    for item, (number, line) in zip(items, numbered, strict=True):
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            value = None
        if isinstance(value, dict):
            assert item.fields == value
        else:
            assert item.fault is not None
            assert item.fault.details["line"] == number


def test_a_line_that_is_too_long_fails_alone(write: Write) -> None:
    long = b'{"text":"' + b"a" * MAX_ROW_BYTES + b'"}'
    source = JsonLines(write(b'{"id":1}\n' + long + b'\n{"id":2}\n'))
    first, second, third = whole(source)
    assert (first.fields, third.fields) == ({"id": 1}, {"id": 2})
    assert second.fault is not None
    assert second.fault.code == "body_too_large"
    assert third.line == 3
    check_division(source, 1)


def test_a_byte_order_mark_is_no_part_of_the_first_line(write: Write) -> None:
    source = JsonLines(write(b'\xef\xbb\xbf{"id":1}\n{"id":2}'))
    assert [item.fields for item in whole(source)] == [{"id": 1}, {"id": 2}]
    check_division(source, 1)


# --- CSV ------------------------------------------------------------------------------------


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=12), st.integers(1, 4))
def test_a_csv_that_python_wrote_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], size: int
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["a", "b"], *rows])
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    path.write_bytes(text.getvalue().encode())
    source = SeparatedValues(path, ["a", "b"], None)
    items = whole(source)
    assert [item.fault for item in items] == [None] * len(rows)
    # An empty cell is a field that is not there.
    assert [(item.fields.get("a", ""), item.fields.get("b", "")) for item in items] == [
        tuple(r) for r in rows
    ]
    check_division(source, size)


def test_values_that_are_numbers_are_numbers_unless_their_column_is_text(write: Write) -> None:
    rows = b"id,zip,text,share\n7,01234,42,1.5e2\n8,+5,1,-0.25\n"
    first, second = whole(SeparatedValues(write(rows), ["text"], "id"))
    assert first.fields == {"id": 7, "zip": "01234", "text": "42", "share": 150.0}
    assert second.fields == {"id": 8, "zip": "+5", "text": "1", "share": -0.25}


def test_a_row_that_is_wrong_fails_with_its_line_and_costs_no_other(write: Write) -> None:
    rows = b'a,b\n1,2\n1,2,3\n"open,2\n3,4\n\xff,1\n"x" y,2\n5,"two\nlines"\n6,7\n'
    source = SeparatedValues(write(rows), [], None)
    items = whole(source)
    assert [(item.line, item.fault is None) for item in items] == [
        (2, True),
        (3, False),
        (4, False),
        (5, True),
        (6, False),
        (7, False),
        (8, True),
        (10, True),
    ]
    assert items[6].fields == {"a": 5, "b": "two\nlines"}
    check_division(source, 3)


def test_an_id_is_a_number_where_numbers_are_ids_and_else_as_it_is_written(write: Write) -> None:
    written = ["7", "18446744073709551615", "18446744073709551616", "-5", "12e5", "1.0", "007", "a"]
    rows = "\n".join(["id,n", *(f"{one},{one}" for one in written)])
    items = whole(SeparatedValues(write(rows.encode()), [], "id"))
    ids = [7, 2**64 - 1, "18446744073709551616", "-5", "12e5", "1.0", "007", "a"]
    assert [item.fields["id"] for item in items] == ids
    numbers = [7, 2**64 - 1, "18446744073709551616", -5, 1_200_000.0, 1.0, "007", "a"]
    assert [item.fields["n"] for item in items] == numbers


def test_ends_of_lines_within_quotes_are_as_they_were(write: Write) -> None:
    (item,) = whole(SeparatedValues(write(b'a,b\r\n1,"one\r\n\r\ntwo\nthree"\r\n'), [], None))
    assert item.fields == {"a": 1, "b": "one\r\n\r\ntwo\nthree"}


@pytest.mark.parametrize("bad", [b"", b"\xff"])
def test_lines_within_the_quotes_of_a_bad_row_are_no_rows(
    write: Write, bad: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is too long, or no UTF-8."""
    most = 20_000
    for module in ("lines", "separated"):
        monkeypatch.setattr(f"hanax.batch_processor.sources.{module}.MAX_ROW_BYTES", most)
    long = b"x" * (0 if bad else most // 2)
    many = [b"5,6"] * (1 if bad else most // 3)
    within = b"\n".join([b'"' + long, *many, long + bad, b'7,""8""', b'"'])
    source = SeparatedValues(write(b"a,b\n1," + within + b"\n3,4\n"), [], None)
    first, second = whole(source)
    assert first.fault is not None
    assert (second.line, second.fields) == (len(many) + 6, {"a": 3, "b": 4})
    check_division(source, 1)


@pytest.mark.parametrize("header", [b"a,a\n1,2\n", b"a,\n1,2\n", b"\n\n", b'"a\n1,2\n'])
def test_a_header_that_names_no_columns_is_refused(write: Write, header: bytes) -> None:
    with pytest.raises(InvalidUpload):
        SeparatedValues(write(header), [], None)


# --- vectors --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_an_array_are_vectors(tmp_path: Path, dtype: str, order: Any) -> None:
    array = np.arange(1_200, dtype=dtype).reshape(400, 3).copy(order=order)
    np.save(tmp_path / "a.npy", array)
    source = Npy(tmp_path / "a.npy", "v")
    assert source.dimension == 3
    items = whole(source)
    assert np.array_equal(np.stack([item.fields["v"] for item in items]), array.astype(np.float32))
    assert items[7].fields["v"].dtype == np.float32
    check_division(source, 37)


@pytest.mark.parametrize(
    "array", [np.zeros(3), np.zeros((2, 2), int), np.zeros((2, 2, 2)), np.zeros((2, 0)), np.array([["a"]])]
)
def test_an_array_that_is_no_rows_of_floats_is_refused(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InvalidUpload):
        Npy(tmp_path / "a.npy", "v")


@pytest.mark.parametrize(
    "header",
    ["{'descr': (((\n", "'''", "{[]: 1}", "{'shape': (True, 2), 'descr': '<f4', 'fortran_order': 0}"],
)
def test_a_header_that_is_no_header_is_refused(write: Write, header: str) -> None:
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(64)
    with pytest.raises(InvalidUpload):
        Npy(write(data), "v")


def test_half_an_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((10, 4)))
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data[:-8])
    with pytest.raises(InvalidUpload):
        Npy(tmp_path / "a.npy", "v")


def fvecs(rows: np.ndarray[Any, Any]) -> bytes:
    lengths = np.full((len(rows), 1), rows.shape[1], dtype="<i4")
    return np.hstack([lengths, rows.astype("<f4").view("<i4")]).tobytes()


def test_fvecs_are_vectors_and_one_of_another_length_fails_alone(write: Write) -> None:
    rows = np.random.default_rng(3).standard_normal((50, 4)).astype("f4")
    data = bytearray(fvecs(rows))
    data[20 * 7 : 20 * 7 + 4] = (5).to_bytes(4, "little")
    source = Fvecs(write(bytes(data)), "v")
    items = whole(source)
    assert items[7].fault is not None
    assert items[7].fault.code == "dimension_mismatch"
    rest = [item.fields["v"] for item in items if item.fault is None]
    assert np.array_equal(np.stack(rest), np.delete(rows, 7, axis=0))
    check_division(source, 9)
    with pytest.raises(InvalidUpload):
        Fvecs(write(bytes(data[:-4])), "v")


# --- Parquet --------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 25))
def test_parquet_is_divided_by_row_groups(
    tmp_path_factory: pytest.TempPathFactory, rows: int, group: int, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.parquet"
    vectors = np.arange(rows * 3, dtype="f4").reshape(rows, 3)
    table = pa.table(
        {
            "id": list(range(rows)),
            "vector": pa.array(list(vectors), pa.list_(pa.float32())),
            "title": [None if row % 3 else f"t{row}" for row in range(rows)],
        }
    )
    pq.write_table(table, path, row_group_size=group)
    source = Parquet(path)
    items = whole(source)
    assert [item.fields["id"] for item in items] == list(range(rows))
    assert all(item.fields["vector"].tolist() == vectors[row].tolist() for row, item in enumerate(items))
    assert all(("title" in item.fields) is (row % 3 == 0) for row, item in enumerate(items))
    check_division(source, size)
    source.close()


def test_a_large_row_group_is_several_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanax.batch_processor.sources.parquet._LARGE_GROUP", 700)
    pq.write_table(pa.table({"id": list(range(2_000))}), tmp_path / "a.parquet", row_group_size=1_500)
    source = Parquet(tmp_path / "a.parquet")
    parts = check_division(source, 100)
    assert [(part.first, part.count) for part in parts] == [(0, 700), (700, 700), (1_400, 100), (1_500, 500)]


def _of_one_column(tmp_path: Path, column: pa.Array) -> list[Item]:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": column}), path)
    return whole(Parquet(path))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**62, 0], pa.timestamp("us")),
        pa.array([2**30, 0], pa.date32()),
        pa.array([[2**30], [0]], pa.list_(pa.date32())),
        pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"ok"]).buffers()),
        pa.array([float("inf"), 1.0]),
        pa.array([[("k", 1), ("k", 2)], []], pa.map_(pa.string(), pa.int64())),
    ],
    ids=["timestamp", "date", "dates", "text", "infinity", "map"],
)
def test_a_value_that_python_has_no_form_for_fails_its_row_alone(tmp_path: Path, column: pa.Array) -> None:
    bad, good = _of_one_column(tmp_path, column)
    assert bad.fault is not None
    assert good.fault is None
    assert "a" in good.fields


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (pa.array([1_500_000_001], pa.timestamp("ns")), "1970-01-01T00:00:01.500000"),
        (pa.array([[1_000_001]], pa.list_(pa.timestamp("ns"))), ["1970-01-01T00:00:00.001000"]),
        (pa.array([1_001], pa.time64("ns")), "00:00:00.000001"),
        (pa.array([b"a" * 16], pa.uuid()), "61616161-6161-6161-6161-616161616161"),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), {"k": 1}),
        (pa.array(["x"], pa.large_string()), "x"),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array([7]).dictionary_encode(), 7),
        (pa.array([0.5], pa.float16()), 0.5),
        (pa.array([True]), True),
    ],
    ids=["timestamp", "timestamps", "time", "uuid", "map", "large", "texts", "numbers", "half", "bool"],
)
def test_values_of_a_table_have_a_form_in_json(tmp_path: Path, column: pa.Array, told: object) -> None:
    (item,) = _of_one_column(tmp_path, column)
    assert (item.fault, item.fields) == (None, {"a": told})


def test_the_nan_of_a_table_is_no_field(tmp_path: Path) -> None:
    assert [item.fields for item in _of_one_column(tmp_path, pa.array([float("nan"), 1.0]))] == [
        {},
        {"a": 1.0},
    ]


def test_a_text_that_many_rows_name_is_held_once(tmp_path: Path) -> None:
    """A file of some KB is no GB of memory."""
    text, rows = "a" * MAX_ROW_BYTES, 5_000
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), [text])
    pq.write_table(pa.table({"a": column}), tmp_path / "a.parquet")
    before = pa.total_allocated_bytes()
    for item in Parquet(tmp_path / "a.parquet").read(Part(0, rows, {"group": 0, "row": 0}), 0):
        assert len(item.fields["a"]) == MAX_ROW_BYTES
        assert pa.total_allocated_bytes() - before < 20 * MAX_ROW_BYTES


def test_a_text_that_is_too_long_fails_its_row(tmp_path: Path) -> None:
    bad, good = _of_one_column(tmp_path, pa.array(["a" * (MAX_ROW_BYTES + 1), "a"]))
    assert bad.fault is not None
    assert bad.fault.code == "body_too_large"
    assert good.fields == {"a": "a"}


def test_rows_that_are_large_are_read_a_few_at_once(tmp_path: Path) -> None:
    path, text = tmp_path / "a.parquet", "a" * 1_000_000
    with pq.ParquetWriter(path, pa.schema([("a", pa.string())]), use_dictionary=False) as writer:
        writer.write_table(pa.table({"a": [text + str(number) for number in range(40)]}))
    (part,) = (source := Parquet(path)).divide(100, None)
    counts = [table.count for table in source.tables(part, 0, 1_000)]
    assert (sum(counts), max(counts) < 20) == (40, True)
    # A row group of none says nothing.
    pq.write_table(pa.table({"a": pa.array([], pa.string())}), path)
    assert list(Parquet(path).divide(100, None)) == []


def test_more_rows_than_a_job_may_have_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_MOST_ROWS", 9)
    with pytest.raises(InvalidUpload):
        _of_one_column(tmp_path, pa.nulls(10))


def test_values_that_json_has_no_form_for_fail_their_item(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2], "raw": pa.array([b"x", None], pa.binary())})
    pq.write_table(table, tmp_path / "a.parquet")
    first, second = whole(Parquet(tmp_path / "a.parquet"))
    assert first.fault is not None
    assert second.fields == {"id": 2}


# --- formats --------------------------------------------------------------------------------


FILES: dict[UploadFormat, bytes] = {
    UploadFormat.JSONL: b'{"id":1}\n',
    UploadFormat.CSV: b"id,text\n1,a\n",
    UploadFormat.FVECS: fvecs(np.ones((2, 3))),
}


def _binary() -> dict[UploadFormat, bytes]:
    npy, parquet = io.BytesIO(), io.BytesIO()
    np.save(npy, np.zeros((2, 3)))
    pq.write_table(pa.table({"id": [1]}), parquet)
    return {**FILES, UploadFormat.NPY: npy.getvalue(), UploadFormat.PARQUET: parquet.getvalue()}


@pytest.mark.parametrize("told", list(UploadFormat))
@pytest.mark.parametrize("given", list(UploadFormat))
def test_a_file_of_another_format_is_refused_by_name(
    write: Write, told: UploadFormat, given: UploadFormat
) -> None:
    spec = BulkInsert(kind=JobKind.BULK_INSERT, collection="a", format=told, vector_field="id")
    path = write(_binary()[given])
    if told is given:
        open_source(path, spec).close()
        return
    with pytest.raises(HanaxError) as refused:
        open_source(path, spec)
    assert isinstance(refused.value, InvalidUpload)
    assert told.value in refused.value.message


@pytest.mark.parametrize("told", list(UploadFormat))
@pytest.mark.parametrize("data", [b"", b"PK\x03\x04rest", b"\x1f\x8b\x08rest", b"\xff\xfei\x00d\x00"])
def test_what_is_none_of_the_formats_is_refused(write: Write, told: UploadFormat, data: bytes) -> None:
    with pytest.raises(InvalidUpload):
        open_source(write(data), BulkInsert(kind=JobKind.BULK_INSERT, collection="a", format=told))


def _embed(**fields: Any) -> BulkEmbed:
    return BulkEmbed(kind=JobKind.BULK_EMBED, format=UploadFormat.CSV, **fields)


@pytest.mark.parametrize(
    ("header", "spec", "told"),
    [
        (b"id;text;year", _embed(), "no column 'text'; its columns are 'id;text;year'; text_field says"),
        (b"id,body", _embed(), "no column 'text'; its columns are 'id', 'body'; text_field says"),
        (b"id,text", _embed(text_field="body"), "no column 'body'"),
        (b"id,body", _embed(rows="points", collection="docs"), "no column 'text' or 'vector' or 'embedding'"),
        (
            b"id,text",
            BulkInsert(kind=JobKind.BULK_INSERT, collection="docs", format=UploadFormat.CSV),
            "no column 'vector'; its columns are 'id', 'text'; vector_field says",
        ),
        (b",".join(b"c%d" % n for n in range(30)), _embed(), "'c19' and 10 more; text_field"),
    ],
)
def test_a_table_without_the_column_that_is_meant_is_refused_with_those_that_there_are(
    write: Write, header: bytes, spec: BulkEmbed | BulkInsert, told: str
) -> None:
    path = write(header + b"\n1,2\n")
    with pytest.raises(InvalidUpload) as refused:
        open_source(path, spec)
    assert told in refused.value.message


def test_a_parquet_file_without_the_column_that_is_meant_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    pq.write_table(pa.table({"id": [1], "embedding": [[1.0, 2.0]]}), path)
    spec = BulkInsert(kind=JobKind.BULK_INSERT, collection="docs", format=UploadFormat.PARQUET)
    with pytest.raises(InvalidUpload, match="no column 'vector'; its columns are 'id', 'embedding'"):
        open_source(path, spec)
    open_source(path, spec.model_copy(update={"vector_field": "embedding"})).close()
