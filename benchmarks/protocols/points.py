"""What is searched: MiniLM embeddings of documentation, with metadata as documents have them.

Every request is another query, so that no answer is kept from an earlier one: in each, the digits of one
component are counted up behind the fifth, which moves no neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from numpy.typing import NDArray

from benchmarks.index.datasets import Dataset, load

_LANGUAGES: Final = ("en", "de", "fr")
_COUNTED_DIGITS: Final = 7


@dataclass(frozen=True)
class Points:
    data: Dataset
    metadata: list[dict[str, Any]]


def points(quick: bool) -> Points:
    # To read and to embed texts would take longest of all.
    data = load("b" if quick else "d", quick)
    metadata = [
        {
            "title": f"paragraph number {row}",
            "source": f"package-{row % 97}/module_{row % 1013}.py",
            "language": _LANGUAGES[row % 3],
            "year": 1990 + row % 35,
            "rating": round(row % 50 / 10, 1),
            "reviewed": row % 4 == 0,
        }
        for row in range(len(data.rows))
    ]
    return Points(data, metadata)


def numbers(vector: NDArray[Any]) -> bytes:
    """A vector as a JSON list, every number as short as float32 allows."""
    return orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY)


def write_templates(path: Path, queries: NDArray[Any], before: bytes, after: bytes) -> None:
    """A line for each query: its body around where the counted digits go, divided by a tab."""
    with path.open("wb") as file:
        for query in queries:
            rest = numbers(query[1:])[1:]
            file.write(before + b"[%.5f" % query[0] + b"\t," + rest + after + b"\n")


def counted(number: int) -> str:
    """The digits that tell one request from another."""
    return str(number % 10**_COUNTED_DIGITS).zfill(_COUNTED_DIGITS)
