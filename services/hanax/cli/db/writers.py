"""Points into files. What is written is read again by `hana-x-db import`, and by jobs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import numpy as np
import orjson

from hanax.cli.db.sources.files import COMPANION
from hanax.core.errors import FailedPrecondition, InvalidArgument
from hxp_vector_client.models import Point

_DRAFT: Final = ".part"
_LINE: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


class PointWriter(Protocol):
    """Blocking. Nothing has its name before `finish`, and nothing is left after `abandon`."""

    def write(self, points: Sequence[Point]) -> None: ...

    def finish(self) -> dict[str, int]:
        """The files that were made, with their sizes in bytes."""
        ...

    def abandon(self) -> None:
        """Remove what is unfinished; nothing after `finish`."""
        ...


def open_writer(file: str, form: str, dimension: int, force: bool) -> PointWriter:
    """file: -: standard output. Raises FailedPrecondition where a file is there, and InvalidArgument for a
    folder that is not."""
    if file == "-":
        return LinesWriter(None)
    path = Path(file)
    made = [path, path.with_name(path.stem + COMPANION)] if form == "npy" else [path]
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidArgument(f"{path}: expected the name of a file in a folder that is there")
    for one in made:
        if one.exists() and not force:
            raise FailedPrecondition(f"{one} is there already; say --force to replace it")
    match form:
        case "jsonl":
            return LinesWriter(path)
        case "parquet":
            return ParquetWriter(path)
        case _:
            return ArrayWriter(path, dimension)


class LinesWriter:
    """A point in each line, as an insert takes it."""

    def __init__(self, path: Path | None) -> None:
        self._draft = None if path is None else _Draft(path)
        self._file: BinaryIO = sys.stdout.buffer if self._draft is None else self._draft.open()

    def write(self, points: Sequence[Point]) -> None:
        for point in points:
            self.write_one(plain_point(point))

    def write_one(self, told: dict[str, Any]) -> None:
        self._file.write(orjson.dumps(told, option=_LINE))

    def finish(self) -> dict[str, int]:
        self._file.flush()
        return {} if self._draft is None else self._draft.publish()

    def abandon(self) -> None:
        if self._draft is not None:
            self._draft.discard()


class ParquetWriter:
    """Columns id, vector (float32), metadata (JSON) and expires_at (RFC 3339).

    A column has one type: ids that are integers and ids that are text do not go into one file.
    """

    def __init__(self, path: Path) -> None:
        """Raises InvalidArgument where pyarrow is not installed."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ModuleNotFoundError:
            raise InvalidArgument("Parquet needs pyarrow: pip install hana-x-vector[batch]") from None
        self._arrow = pyarrow
        self._draft = _Draft(path)
        self._file = self._draft.open()
        self._ids: Any = None
        self._writer: Any = None

    def write(self, points: Sequence[Point]) -> None:
        """Raises FailedPrecondition for ids of two kinds."""
        arrow = self._arrow
        rows = [plain_point(point) for point in points]
        if self._ids is None:
            self._ids = arrow.string() if isinstance(rows[0]["id"], str) else arrow.uint64()
        for row in rows:
            if isinstance(row["id"], str) != (self._ids == arrow.string()):
                raise FailedPrecondition(
                    "the collection has ids that are integers and ids that are text, which a column of "
                    "Parquet can't hold: export it as .jsonl"
                )
        columns = {
            "id": arrow.array([row["id"] for row in rows], self._ids),
            "vector": arrow.array([row.get("vector") for row in rows], arrow.list_(arrow.float32())),
            "metadata": arrow.array([_json_text(row.get("metadata")) for row in rows], arrow.string()),
            "expires_at": arrow.array([row.get("expires_at") for row in rows], arrow.string()),
        }
        self._append(arrow.table(columns))

    def finish(self) -> dict[str, int]:
        if self._writer is None:
            empty = {"id": self._arrow.string(), "vector": self._arrow.list_(self._arrow.float32())}
            self._append(self._arrow.schema(list(empty.items())).empty_table())
        self._writer.close()
        return self._draft.publish()

    def abandon(self) -> None:
        self._draft.discard()

    def _append(self, table: Any) -> None:
        if self._writer is None:
            self._writer = self._arrow.parquet.ParquetWriter(self._file, table.schema, compression="zstd")
        self._writer.write_table(table)


class ArrayWriter:
    """float32 of shape (points, dimension), C order; and lines in another file with what else there is."""

    def __init__(self, path: Path, dimension: int) -> None:
        self._array = _Draft(path)
        self._lines = LinesWriter(path.with_name(path.stem + COMPANION))
        self._dimension = dimension
        self._rows = 0
        self._file = self._array.open()
        self._write_header()

    def write(self, points: Sequence[Point]) -> None:
        rows = np.array([point.vector for point in points], dtype="<f4")
        self._file.write(rows.reshape(len(points), self._dimension).tobytes())
        for point in points:
            told = plain_point(point)
            del told["vector"]
            self._lines.write_one(told)
        self._rows += len(points)

    def finish(self) -> dict[str, int]:
        end = self._file.tell()
        self._file.seek(0)
        self._write_header()
        self._file.seek(end)
        lines = self._lines.finish()
        return {**self._array.publish(), **lines}

    def abandon(self) -> None:
        self._array.discard()
        self._lines.abandon()

    def _write_header(self) -> None:
        """numpy leaves room in it for the number of rows to grow, so that it keeps its length."""
        header = {"descr": "<f4", "fortran_order": False, "shape": (self._rows, self._dimension)}
        np.lib.format.write_array_header_1_0(self._file, header)


class _Draft:
    """A file under another name until it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(path.name + _DRAFT)
        self._file: BinaryIO | None = None

    def open(self) -> BinaryIO:
        self._file = self._draft.open("wb")
        return self._file

    def publish(self) -> dict[str, int]:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._draft.replace(self._path)
        return {str(self._path): self._path.stat().st_size}

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._draft.unlink(missing_ok=True)


def plain_point(point: Point) -> dict[str, Any]:
    """As an insert takes it, from what a scroll answers."""
    told: dict[str, Any] = {"id": point.id, "vector": point.vector, "metadata": point.metadata or None}
    if point.expires_at is not None:
        told["expires_at"] = point.expires_at.isoformat().replace("+00:00", "Z")
    return {name: value for name, value in told.items() if value is not None}


def _json_text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
