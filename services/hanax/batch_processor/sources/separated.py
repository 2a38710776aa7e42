"""CSV: RFC 4180 with a header; what is quoted may hold ends of lines.

A value that reads as a JSON number becomes one, unless its column is to be taken as it is written (ids,
texts); an empty value is left out. A record that can't be read fails with the line it begins at, and the next
line is taken for a new record: a quote that is never closed costs one row, not the rest of the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from hanax.batch_processor.sources import MAX_ROW_BYTES, Item, Part
from hanax.batch_processor.sources.lines import Line, Lines
from hanax.core.errors import BodyTooLarge, HanaxError, InvalidArgument, InvalidUpload

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")

# A table wider than this is none of points.
_MAX_COLUMNS: Final = 4_096


class _Record(NamedTuple):
    """begin: its first line. fault: instead of values."""

    begin: Line
    values: list[str]
    fault: HanaxError | None


class SeparatedValues:
    """`Source` of a .csv file. A position is the offset of a part's first record, and its line."""

    dimension = None

    def __init__(self, path: Path, verbatim: Collection[str]) -> None:
        """verbatim: columns whose values stay text. Raises InvalidUpload for a header that can't be."""
        csv.field_size_limit(MAX_ROW_BYTES)
        self._path = path
        with closing(Lines(path)) as lines:
            header = next(_records(lines), None)
            self._after_header = self._line_after = 0
            if header is None:
                raise InvalidUpload("the upload has no header: expected names of columns in the first line")
            if header.fault is not None:
                raise InvalidUpload(f"the header can't be read: {header.fault.message}")
            following = lines.next()
            if following is not None:
                self._after_header, self._line_after = following.offset, following.number
        self.columns = _checked(header.values)
        self._verbatim = frozenset(verbatim)

    def divide(self, items: int, done: Part | None) -> Iterator[Part]:
        if not self._after_header:
            return
        first = 0
        with closing(Lines(self._path, self._after_header, self._line_after)) as lines:
            records = _records(lines)
            if done is not None:
                lines.seek(done.position["offset"], done.position["line"])
                for _ in range(done.count):
                    next(records, None)
                first = done.first + done.count
            begin: Line | None = None
            count = 0
            for record in records:
                begin = begin or record.begin
                count += 1
                if count == items:
                    yield Part(first, count, {"offset": begin.offset, "line": begin.number})
                    first, count, begin = first + count, 0, None
            if begin is not None:
                yield Part(first, count, {"offset": begin.offset, "line": begin.number})

    def read(self, part: Part, skip: int) -> Iterator[Item]:
        number = part.first
        with closing(Lines(self._path, part.position["offset"], part.position["line"])) as lines:
            for record in _records(lines):
                if number == part.first + part.count:
                    return
                if number - part.first >= skip:
                    yield self._item(number, record)
                number += 1

    def close(self) -> None:
        pass

    def _item(self, number: int, record: _Record) -> Item:
        line = record.begin.number
        fault = record.fault
        if fault is None and len(record.values) != len(self.columns):
            fault = InvalidArgument(
                f"line {line}: the header names {len(self.columns)} columns, this row has "
                f"{len(record.values)}",
                line=line,
            )
        if fault is not None:
            return Item(number, line, {}, fault)
        pairs = zip(self.columns, record.values, strict=True)
        return Item(number, line, {name: self._value(name, text) for name, text in pairs if text})

    def _value(self, name: str, text: str) -> Any:
        if name in self._verbatim:
            return text
        if found := _NUMBER.fullmatch(text):
            # A number past float64, and one that would lose digits as an integer of 64 bits, stay text.
            number = float(text) if found[1] or found[2] else int(text)
            return number if abs(number) != float("inf") else text
        return text


def _checked(columns: list[str]) -> tuple[str, ...]:
    names = [name.strip() for name in columns]
    if len(names) > _MAX_COLUMNS:
        raise InvalidUpload(f"the header names {len(names)} columns; at most {_MAX_COLUMNS}")
    if not all(names):
        raise InvalidUpload(f"the header has no name for column {names.index('') + 1}")
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InvalidUpload(f"the header names the column {name[:60]!r} twice", column=name[:60])
    return tuple(names)


def _records(lines: Lines) -> Iterator[_Record]:
    """Records from where `lines` stands, which may be moved between two of them."""
    while (line := lines.next()) is not None:
        if line.data.strip():
            yield _record(lines, line)


def _record(lines: Lines, begin: Line) -> _Record:
    """The record that begins with a line; `lines` stands behind it, or behind that line when it is bad."""
    where = f"line {begin.number}"
    last = begin
    size = 0

    def text() -> Iterator[str]:
        nonlocal last, size
        line: Line | None = begin
        while line is not None:
            last = line
            size += len(line.data) + 1
            if line.too_long or size > MAX_ROW_BYTES:
                raise BodyTooLarge(
                    f"{where}: a row of more than {MAX_ROW_BYTES} bytes, or a quote that is not closed",
                    limit_bytes=MAX_ROW_BYTES,
                    line=begin.number,
                )
            yield line.data.decode() + "\n"
            line = lines.next()

    try:
        return _Record(begin, next(csv.reader(text(), strict=True)), None)
    except HanaxError as error:
        fault = error
    except UnicodeDecodeError:
        fault = InvalidArgument(f"{where}: not UTF-8", line=begin.number)
    except csv.Error as error:
        fault = InvalidArgument(f"{where}: {error}", line=begin.number)
    if last is not begin:
        lines.seek(begin.offset, begin.number)
        lines.next()
    return _Record(begin, [], fault)
