"""JSON lines: one object in each line; lines without a visible character are passed over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson

from hanax.batch_processor.sources import MAX_ROW_BYTES, Item, Part
from hanax.batch_processor.sources.lines import Line, Lines
from hanax.core.errors import BodyTooLarge, HanaxError, InvalidJson
from hanax.core.json_values import kind_of


class JsonLines:
    """`Source` of a .jsonl file. A position is the offset of a part's first line, and its number."""

    dimension = None

    def __init__(self, path: Path) -> None:
        self._path = path

    def divide(self, items: int, done: Part | None) -> Iterator[Part]:
        first = 0
        with closing(Lines(self._path)) as lines:
            if done is not None:
                lines.seek(done.position["offset"], done.position["line"])
                _pass(lines, done.count)
                first = done.first + done.count
            begin: Line | None = None
            count = 0
            for line in lines:
                if not line.data.strip():
                    continue
                begin = begin or line
                count += 1
                if count == items:
                    yield _part(first, count, begin)
                    first, count, begin = first + count, 0, None
            if begin is not None:
                yield _part(first, count, begin)

    def read(self, part: Part, skip: int) -> Iterator[Item]:
        number = part.first
        with closing(Lines(self._path, part.position["offset"], part.position["line"])) as lines:
            for line in lines:
                if number == part.first + part.count:
                    return
                if not line.data.strip():
                    continue
                if number - part.first >= skip:
                    yield read_line(number, line)
                number += 1

    def close(self) -> None:
        pass


def read_line(number: int, line: Line) -> Item:
    try:
        return Item(number, line.number, _read(line))
    except HanaxError as fault:
        return Item(number, line.number, {}, fault)


def _read(line: Line) -> dict[str, object]:
    if line.too_long:
        raise BodyTooLarge(
            f"line {line.number}: at most {MAX_ROW_BYTES} bytes", limit_bytes=MAX_ROW_BYTES, line=line.number
        )
    try:
        value = orjson.loads(line.data)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(
            f"line {line.number}: not JSON: {error.msg} at column {error.colno}", line=line.number
        ) from None
    if not isinstance(value, dict):
        raise InvalidJson(f"line {line.number}: expected an object, got {kind_of(value)}", line=line.number)
    return value


def _part(first: int, count: int, begin: Line) -> Part:
    return Part(first, count, {"offset": begin.offset, "line": begin.number})


def _pass(lines: Lines, count: int) -> None:
    """Go behind so many lines that are items."""
    while count and (line := lines.next()) is not None:
        count -= bool(line.data.strip())
