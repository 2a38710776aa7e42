"""Points of a file: JSON lines, CSV, Parquet, npy or fvecs. The readers are those of uploaded jobs."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import orjson
import typer

from hanax.batch_processor.sources import Item, Part, Source
from hanax.cli.db.points import Row, Shape, Vector
from hanax.core.errors import HanaxError, InvalidArgument, InvalidUpload
from hanax.core.job_formats import FORMAT_BY_ENDING, HEAD_BYTES, check_format
from hanax.core.job_specs import UploadFormat
from hanax.core.json_values import kind_of

# Beside vectors.npy: their ids and metadata, row by row.
COMPANION: Final = ".points.jsonl"

_PART_ROWS: Final = 10_000
_PAGE_ROWS: Final = 500
_BARE: Final = (UploadFormat.NPY, UploadFormat.FVECS)
# What an insert takes of a point beside its content.
_PASSED_ON: Final = ("if_version", "expires_at", "ttl_seconds")


@dataclass(frozen=True)
class Fields:
    """Which fields, or columns, of a row mean what."""

    id_field: Annotated[str, typer.Option("--id-field", help="Field of a row's id.")] = "id"
    vector_field: Annotated[str, typer.Option("--vector-field", help="Field of its vector.")] = "vector"
    text_field: Annotated[
        str, typer.Option("--text-field", help="Field of a text to embed, where there is no vector.")
    ] = "text"
    metadata_from: Annotated[
        str,
        typer.Option(
            "--metadata",
            help="object: the field metadata; rest: the other fields; none; auto: the object where there is "
            "one, else the rest.",
        ),
    ] = "auto"

    def check(self) -> None:
        """Raises InvalidArgument."""
        if self.metadata_from not in ("auto", "object", "rest", "none"):
            raise InvalidArgument(
                f"--metadata: expected auto, object, rest or none, got {self.metadata_from!r}"
            )


class FileSource:
    """`PointSource` of a file. A row without id gets one made of the file's name, its size and the row's
    number: the same when it is imported again."""

    def __init__(self, path: Path, told: UploadFormat, fields: Fields) -> None:
        """Raises InvalidArgument for a file that can't be read, InvalidUpload for one of another format."""
        fields.check()
        self._path = path
        self._fields = fields
        self._format = told
        try:
            with path.open("rb") as file:
                check_format(file.read(HEAD_BYTES), told)
            self._source = _open(path, told, fields)
            size = path.stat().st_size
        except OSError as error:
            raise InvalidArgument(f"{path} can't be read: {error.strerror or error}") from None
        except InvalidUpload as error:
            if "seen" in error.details:
                raise InvalidUpload(f"{path} is {error.details['seen']}; expected {told.value}") from None
            raise InvalidUpload(f"{path}: {error.message.replace('the upload', 'the file')}") from None
        self._made = uuid.uuid5(uuid.NAMESPACE_URL, f"hana-x-vector:{path.name}:{size}")
        companion = path.with_name(path.stem + COMPANION)
        self._companion = companion if told in _BARE and companion.exists() else None
        self._parts: list[Part] = []

    async def shape(self) -> Shape:
        self._parts = await asyncio.to_thread(lambda: list(self._source.divide(_PART_ROWS, None)))
        count = sum(part.count for part in self._parts)
        return Shape(self._source.dimension, None, count)

    async def pages(self, skip: int) -> AsyncGenerator[Sequence[Row], None]:
        rows = self._rows(skip)
        while page := await asyncio.to_thread(lambda: list(islice(rows, _PAGE_ROWS))):
            yield page

    async def close(self) -> None:
        await asyncio.to_thread(self._source.close)

    def _rows(self, skip: int) -> Iterator[Row]:
        companions = self._companions(skip)
        for part in self._parts:
            behind = min(max(0, skip - part.first), part.count)
            if behind < part.count:
                for item in self._source.read(part, behind):
                    yield self._row(item, next(companions, None) if self._companion else None)

    def _companions(self, skip: int) -> Iterator[dict[str, Any]]:
        """Of an array without ids: what the file beside it says of each row."""
        if self._companion is None:
            return
        source = _open(self._companion, UploadFormat.JSONL, self._fields)
        for part in source.divide(_PART_ROWS, None):
            behind = min(max(0, skip - part.first), part.count)
            for item in source.read(part, behind) if behind < part.count else ():
                if item.fault is not None:
                    raise InvalidUpload(f"{self._companion}: {item.fault.message}")
                yield item.fields

    def _row(self, item: Item, beside: dict[str, Any] | None) -> Row:
        number = item.number + 1
        place = f"row {number}" if item.line is None else f"line {item.line}"
        row = Row(number, f"{self._path.name}, {place}")
        if item.fault is not None:
            # It begins with the line already.
            row.fault = type(item.fault)(item.fault.message.removeprefix(f"line {item.line}: "))
            return row
        if self._companion is not None and beside is None:
            row.fault = InvalidUpload(f"{self._companion.name} has fewer rows than {self._path.name}")
            return row
        try:
            self._read(row, {**item.fields, **(beside or {})})
        except HanaxError as fault:
            row.fault = fault
        return row

    def _read(self, row: Row, fields: dict[str, Any]) -> None:
        own = self._fields
        vector = fields.get(own.vector_field, fields.get("embedding"))
        text = fields.get(own.text_field)
        if vector is not None:
            row.vector = to_vector(vector, own.vector_field)
        elif text is None:
            raise InvalidArgument(f"expected a field {own.vector_field!r} or {own.text_field!r}")
        given = fields.get(own.id_field)
        row.point["id"] = str(uuid.uuid5(self._made, str(row.number))) if given is None else given
        metadata = self._metadata(fields, with_text=vector is not None)
        if vector is None:
            row.point["text"] = text
        if metadata is not None:
            row.point["metadata"] = metadata
        row.point.update((name, fields[name]) for name in _PASSED_ON if fields.get(name) is not None)

    def _metadata(self, fields: dict[str, Any], with_text: bool) -> Any:
        own = self._fields
        if own.metadata_from == "none":
            return None
        given = fields.get("metadata")
        if isinstance(given, str) and self._format in (UploadFormat.PARQUET, UploadFormat.CSV):
            given = _parsed(given)
        if own.metadata_from == "object" or (own.metadata_from == "auto" and given is not None):
            return given
        known = {own.id_field, own.vector_field, "embedding", "metadata", *_PASSED_ON}
        if not with_text:
            known.add(own.text_field)
        rest = {name: _plain(value) for name, value in fields.items() if name not in known}
        return rest or None


def format_of(path: Path) -> UploadFormat:
    """By the name's ending. Raises InvalidArgument."""
    try:
        return FORMAT_BY_ENDING[path.suffix.lower()]
    except KeyError:
        endings = ", ".join(FORMAT_BY_ENDING)
        raise InvalidArgument(f"{path}: expected a name that ends in {endings}; or say --from") from None


def to_vector(value: object, name: str) -> Vector:
    """float32 of shape (n,). Raises InvalidArgument for what is no list of numbers.

    What is past float32 becomes infinite, which the gateway refuses by name.
    """
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, list):
        raise InvalidArgument(f"{name}: expected a list of numbers, got {kind_of(value)}")
    # JSON's true would pass for 1.0.
    if not {float, int}.issuperset(map(type, value)):
        place = next(place for place, one in enumerate(value) if type(one) not in (float, int))
        raise InvalidArgument(f"{name}[{place}]: expected a number, got {kind_of(value[place])}")
    with np.errstate(over="ignore"):
        try:
            return np.array(value, dtype=np.float32)
        except OverflowError:
            raise InvalidArgument(f"{name}: expected numbers within float32") from None


def _open(path: Path, told: UploadFormat, fields: Fields) -> Source:
    match told:
        case UploadFormat.JSONL:
            from hanax.batch_processor.sources.jsonl import JsonLines

            return JsonLines(path)
        case UploadFormat.CSV:
            from hanax.batch_processor.sources.separated import SeparatedValues

            return SeparatedValues(path, [fields.text_field], fields.id_field)
        case UploadFormat.PARQUET:
            try:
                from hanax.batch_processor.sources.parquet import Parquet
            except ModuleNotFoundError:
                raise InvalidArgument("Parquet needs pyarrow: pip install hana-x-vector[batch]") from None
            return Parquet(path)
        case UploadFormat.NPY:
            from hanax.batch_processor.sources.matrices import Npy

            return Npy(path, fields.vector_field)
        case UploadFormat.FVECS:
            from hanax.batch_processor.sources.matrices import Fvecs

            return Fvecs(path, fields.vector_field)


def _parsed(text: str) -> Any:
    """A cell of a table that holds JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
