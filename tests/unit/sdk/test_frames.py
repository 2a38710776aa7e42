"""Frames of three libraries: points from them, and results as them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest

from hxp_vector_client import FrameColumns, frames
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.models import Hit, Point

_VECTORS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
_DATA: dict[str, list[Any]] = {
    "id": [1, 2, 3],
    "vector": _VECTORS,
    "title": ["a", None, "c"],
    "year": [2020.0, float("nan"), 2022.0],
    "at": [datetime(2024, 1, 1, tzinfo=UTC)] * 3,
    "tags": [["x"], [], ["y", "z"]],
}
_MAKERS = {"pandas": pandas.DataFrame, "polars": polars.DataFrame, "arrow": pyarrow.table}


@pytest.fixture(params=list(_MAKERS))
def make(request: pytest.FixtureRequest) -> Any:
    return _MAKERS[request.param]


def test_rows_are_points(make: Any) -> None:
    points = frames.points_of(make(_DATA))
    assert points["ids"] == [1, 2, 3]
    assert points["texts"] is None
    assert points["vectors"] is not None
    assert points["vectors"].dtype == np.float32
    np.testing.assert_array_equal(points["vectors"], np.array(_VECTORS))
    assert points["metadata"][0] == {
        "title": "a",
        "year": 2020.0,
        "at": "2024-01-01T00:00:00+00:00",
        "tags": ["x"],
    }
    # What is missing in a frame is missing in the metadata.
    assert points["metadata"][1] == {"at": "2024-01-01T00:00:00+00:00", "tags": []}


def test_columns_are_named(make: Any) -> None:
    columns = FrameColumns(vector=None, text="title", id=None, metadata=["year"])
    points = frames.points_of(make(_DATA), columns)
    assert (points["vectors"], points["ids"], points["texts"]) == (None, None, ["a", None, "c"])
    assert points["metadata"] == [{"year": 2020.0}, {}, {"year": 2022.0}]
    without_ids = frames.points_of(make({"vector": _VECTORS}))
    assert (without_ids["ids"], without_ids["metadata"]) == (None, [{}, {}, {}])
    with pytest.raises(InvalidArgument, match="embedding"):
        frames.points_of(make(_DATA), FrameColumns(vector="embedding"))
    with pytest.raises(InvalidArgument, match="numbers"):
        frames.points_of(make({"vector": ["a", "b"]}))


def test_fixed_lists_need_no_objects() -> None:
    flat = pyarrow.array(np.arange(6, dtype=np.float32))
    table = pyarrow.table({"vector": pyarrow.FixedSizeListArray.from_arrays(flat, 2)})
    first = frames.points_of(table)["vectors"]
    assert first is not None
    np.testing.assert_array_equal(first, np.arange(6, dtype=np.float32).reshape(3, 2))
    series = polars.Series("vector", np.arange(6, dtype=np.float32).reshape(3, 2))
    second = frames.points_of(polars.DataFrame([series]))["vectors"]
    assert second is not None
    np.testing.assert_array_equal(second, first)


def test_results_become_frames() -> None:
    hits = [
        Hit(id=1, score=0.5, metadata={"year": 2020, "score": 7}, vector=np.array([1, 2], "f4")),
        Hit(id="b", score=0.25, metadata={"year": "old", "nested": {"a": 1}}, vector=np.array([3, 4], "f4")),
    ]
    shown = frames.to_pandas(hits)
    assert list(shown.columns) == ["id", "score", "year", "metadata.score", "nested", "vector"]
    assert shown["id"].tolist() == [1, "b"]
    table = frames.to_arrow(hits)
    # A column has one type there: what is mixed is text.
    assert table["id"].to_pylist() == ["1", "b"]
    assert table["year"].to_pylist() == ["2020", "old"]
    assert table["nested"].to_pylist() == [None, '{"a":1}']
    assert table["vector"].to_pylist() == [[1.0, 2.0], [3.0, 4.0]]
    framed = frames.to_polars(hits)
    assert framed["score"].to_list() == [0.5, 0.25]
    np.testing.assert_array_equal(framed["vector"].to_numpy(), np.array([[1, 2], [3, 4]], "f4"))
    for empty in (frames.to_pandas([]), frames.to_arrow([]), frames.to_polars([])):
        assert len(empty) == 0


def test_a_frame_goes_there_and_back() -> None:
    points = [
        Point(id=number, metadata={"id": "own", "n": number}, embedding=np.array([number, 1], "f4"))
        for number in (1, 2)
    ]
    for to_frame in (frames.to_pandas, frames.to_polars, frames.to_arrow):
        again = frames.points_of(to_frame(points))
        assert again["ids"] == [1, 2]
        assert again["metadata"] == [{"id": "own", "n": 1}, {"id": "own", "n": 2}]
        assert again["vectors"] is not None
        np.testing.assert_array_equal(again["vectors"], np.array([[1, 1], [2, 1]], "f4"))
