"""CSV: RFC 4180 with a header; what is quoted may hold ends of lines.

A value that reads as a JSON number becomes one, unless its column is to be taken as it is written; an id does
where it is one that an id may be. An empty value is left out. A record that can't be read fails with the line
it begins at. Where its quotes tell where it ends the next one begins there; else the next line is taken for a
new record: a quote that is never closed costs one row, not the rest of the file.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from hanax.batch_processor.sources import MAX_ROW_BYTES, Item, Part
from hanax.batch_processor.sources.lines import Line, Lines
from hanax.core.errors import BodyTooLarge, HanaxError, InvalidArgument, InvalidUpload

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,19})(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
# What of a line has nothing to do with where a record ends.
_NEITHER_QUOTE_NOR_COMMA: Final = re.compile(rb'[^",\r\n]+')

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

    def __init__(self, path: Path, verbatim: Collection[str], id_field: str | None) -> None:
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
        self._id_field = id_field

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
        found = _NUMBER.fullmatch(text)
        if found is None:
            return text
        if found[1] or found[2]:
            # A number past float64 stays text.
            return float(text) if name != self._id_field and math.isfinite(float(text)) else text
        # And so does one past the integers of 64 bits; a number that is no id may be a string that is one.
        least = 0 if name == self._id_field else -(2**63)
        return int(text) if least <= int(text) < 2**64 else text


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
    """The record that begins with a line; `lines` stands behind it."""
    where = f"line {begin.number}"
    size = 0

    def text() -> Iterator[str]:
        nonlocal size
        line: Line | None = begin
        while line is not None:
            size += len(line.data) + 1
            if line.too_long or size > MAX_ROW_BYTES:
                raise BodyTooLarge(
                    f"{where}: a row of more than {MAX_ROW_BYTES} bytes, or a quote that is not closed",
                    limit_bytes=MAX_ROW_BYTES,
                    line=begin.number,
                )
            yield (line.data + line.end).decode()
            line = lines.next()

    try:
        return _Record(begin, next(csv.reader(text(), strict=True)), None)
    except HanaxError as error:
        fault = error
    except UnicodeDecodeError:
        fault = InvalidArgument(f"{where}: not UTF-8", line=begin.number)
    except csv.Error as error:
        fault = InvalidArgument(f"{where}: {error}", line=begin.number)
    _pass(lines, begin)
    return _Record(begin, [], fault)


def _pass(lines: Lines, begin: Line) -> None:
    """Go behind a record that can't be read: where its quotes say that it ends, else behind its first line.

    A quote that is never closed is told by the next one, so all of them together cost one pass of the file.
    """
    lines.seek(begin.offset, begin.number)
    try:
        next(csv.reader(_outline(lines), strict=True))
    except csv.Error:
        lines.seek(begin.offset, begin.number)
        lines.next()


def _outline(lines: Lines) -> Iterator[str]:
    """As much of a record as tells where it ends. Raises csv.Error for a line that is cut."""
    for place, line in enumerate(lines):
        if line.too_long:
            raise csv.Error
        # Behind the first one a line is asked for within quotes.
        if not place or b'"' in line.data:
            yield _NEITHER_QUOTE_NOR_COMMA.sub(b"x", line.data + line.end).decode()
