"""Points into a collection from files, and out again: exact, and what is wrong is named by its line."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from hanax.cli.db.app import app
from tests.integration.cli.conftest import Command

# The first test waits for the stack.
pytestmark = pytest.mark.timeout(420)

DIMENSION = 5


def points(count: int, ids: str = "mixed") -> list[dict[str, Any]]:
    chance = random.Random(count)
    return [
        {
            "id": number if ids == "integer" or (ids == "mixed" and number % 2) else f"né-{number}",
            "vector": np.array([chance.gauss(0, 1) for _ in range(DIMENSION)], "f4").astype(float).tolist(),
            "metadata": {"number": number, "nested": {"tags": ["a", "ü"], "half": 0.5}, "none": None},
        }
        for number in range(count)
    ]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def lines(text: str) -> list[Any]:
    return [orjson.loads(line) for line in text.splitlines()]


def by_id(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {repr(row["id"]): {**row, "vector": np.array(row["vector"], "f4").tolist()} for row in rows}


@pytest.mark.parametrize(
    ("ending", "ids"), [("jsonl", "mixed"), ("parquet", "integer"), ("parquet", "text"), ("npy", "mixed")]
)
def test_what_was_imported_is_exported_and_imported_again(
    command: Command, tmp_path: Path, ending: str, ids: str
) -> None:
    first, second = f"first-{ending}-{ids}", f"second-{ending}-{ids}"
    given = points(1_234, ids)
    source = write(tmp_path / "given.jsonl", given)
    done = command(app, "import", str(source), "-c", first, "--create", "--shards", "2", "--format", "json")
    assert done.code == 0, done.err
    counts = ("created", "rows", "inserted", "updated", "failed", "source_count", "target_count")
    assert [done.json[name] for name in counts] == [True, 1_234, 1_234, 0, 0, 1_234, 1_234]

    file = tmp_path / f"out.{ending}"
    told = command(app, "export", first, str(file), "--format", "json").json
    assert (told["points"], told["bytes"]) == (1_234, sum(Path(one).stat().st_size for one in told["files"]))
    assert command(app, "import", str(file), "-c", second, "--create").code == 0
    assert by_id(lines(command(app, "export", second, "-").out)) == by_id(given)


def test_an_npy_of_vectors_alone_has_the_rows_numbers_as_ids_again_and_again(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "bare.npy"
    np.save(file, np.arange(21, dtype="f8").reshape(7, 3) + 1)
    for inserted, updated in ((7, 0), (0, 7)):
        told = command(app, "import", str(file), "-c", "bare", "--create", "--format", "json").json
        assert (told["inserted"], told["updated"], told["target_count"]) == (inserted, updated, 7)


def test_csv_and_chosen_fields(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text('key,emb,title,year\n7,"[1, 2]",Seven,2007\nx-8,"[3, 4]",,2008\n')
    words = ("--id-field", "key", "--vector-field", "emb")
    assert command(app, "import", str(file), "-c", "table", "--create", *words).code == 0
    found = by_id(lines(command(app, "export", "table", "-").out))
    assert found["7"]["metadata"] == {"title": "Seven", "year": 2007}
    assert found["'x-8'"] == {"id": "x-8", "vector": [3.0, 4.0], "metadata": {"year": 2008}}


BAD = [
    b'{"id": 1, "vector": [1, 2, 3]}',
    b'{"id": 2, "vector": [1, 2]}',
    b"",
    b"not json",
    b'{"id": 3, "vector": [0, 0, 0]}',
    b'{"id": -4, "vector": [1, 2, 3]}',
    b'{"id": 5, "vector": [1, true, 3]}',
    b'{"id": 6, "text": "no model"}',
    b'{"id": 7}',
    b'{"id": 8, "vector": [1, 2, 3], "metadata": 5}',
    b'{"id": 9, "vector": [3, 2, 1]}',
]
REASONS = {
    2: "takes 3 numbers, got 2",
    4: "not JSON",
    5: "cosine needs a length",
    6: "an integer id is between 0",
    7: "vector[1]: expected a number, got true",
    8: "no embedding model",
    9: "expected a field 'vector' or 'text'",
    10: "metadata",
}


class TestBadRows:
    @pytest.fixture
    def file(self, command: Command, tmp_path: Path) -> Path:
        command(app, "collections", "create", "strict", "--dimension", "3", "--if-missing")
        path = tmp_path / "bad.jsonl"
        path.write_bytes(b"\n".join(BAD))
        return path

    def test_it_stops_at_the_first_and_says_where_to_go_on(self, command: Command, file: Path) -> None:
        stopped = command(app, "import", str(file), "-c", "strict")
        assert stopped.code == 1
        assert "bad.jsonl, line 2: " in stopped.err
        assert REASONS[2] in stopped.err
        assert stopped.err.rstrip().endswith("go on with --skip 1")
        rest = command(app, "import", str(file), "-c", "strict", "--skip", "1")
        assert "bad.jsonl, line 2: " in rest.err

    @pytest.mark.parametrize("batch_size", ["1", "3", "500"])
    def test_each_is_named_by_its_line_and_the_others_are_stored(
        self, command: Command, file: Path, batch_size: str
    ) -> None:
        words = ("--max-errors", "8", "--batch-size", batch_size, "--format", "json")
        done = command(app, "import", str(file), "-c", "strict", *words)
        assert done.code == 1
        told = done.json
        assert (told["rows"], told["failed"], told["source_count"]) == (10, 8, 10)
        assert told["inserted"] + told["updated"] == 2
        for error, (line, reason) in zip(told["errors"], REASONS.items(), strict=True):
            assert error.startswith(f"bad.jsonl, line {line}: ")
            assert reason in error
            assert "vectors[" not in error

    def test_of_rows_with_the_same_id_the_later_one_stays(self, command: Command, tmp_path: Path) -> None:
        rows = [
            {"id": 1, "vector": [float(number + 1), 0.0], "metadata": {"n": number}} for number in range(40)
        ]
        file = write(tmp_path / "same.jsonl", rows)
        told = command(
            app, "import", str(file), "-c", "same", "--create", "--batch-size", "4", "--format", "json"
        ).json
        assert (told["inserted"], told["updated"], told["target_count"]) == (1, 39, 1)
        assert lines(command(app, "export", "same", "-").out)[0]["metadata"] == {"n": 39}


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        ("none.jsonl", None, 2, "No such file"),
        ("empty.jsonl", b"", 2, "is empty"),
        ("table.jsonl", b"PAR1....", 2, "is a Parquet file; expected jsonl"),
        ("rows.txt", b"{}", 2, "expected a name that ends in"),
        ("wide.npy", b"\x93NUMPY", 2, "is no .npy file"),
    ],
)
def test_files_that_are_none(
    command: Command, tmp_path: Path, name: str, content: bytes | None, code: int, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = command(app, "import", str(tmp_path / name), "-c", "any")
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_a_collection_of_another_dimension_is_refused_before_anything_is_sent(
    command: Command, tmp_path: Path
) -> None:
    command(app, "collections", "create", "three", "--dimension", "3")
    np.save(tmp_path / "two.npy", np.ones((4, 2), "f4"))
    done = command(app, "import", str(tmp_path / "two.npy"), "-c", "three")
    assert (done.code, "vectors of 2 numbers, three takes 3" in done.err) == (2, True)


def test_an_export_replaces_nothing_and_leaves_nothing_half(command: Command, tmp_path: Path) -> None:
    command(app, "import", str(write(tmp_path / "a.jsonl", points(10))), "-c", "whole", "--create")
    file = tmp_path / "out.parquet"
    refused = command(app, "export", "whole", str(file))
    # Integers and text are no column.
    assert (refused.code, "export it as .jsonl" in refused.err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    file.write_text("mine")
    again = command(app, "export", "whole", str(file), "--to", "jsonl")
    assert (again.code, "--force" in again.err, file.read_text()) == (1, True, "mine")
    assert command(app, "export", "whole", str(file), "--to", "jsonl", "--force").code == 0
    assert len(lines(file.read_text())) == 10


def test_some_points_are_exported(command: Command, tmp_path: Path) -> None:
    command(app, "import", str(write(tmp_path / "b.jsonl", points(700))), "-c", "some", "--create")
    filtered = command(app, "export", "some", "-", "--filter", '{"number": {"$lt": 3}}', "--no-vectors")
    assert sorted(row["metadata"]["number"] for row in lines(filtered.out)) == [0, 1, 2]
    assert all("vector" not in row for row in lines(filtered.out))
    assert len(lines(command(app, "export", "some", "-", "--limit", "600").out)) == 600
