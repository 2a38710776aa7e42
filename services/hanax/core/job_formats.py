"""Formats of the files that jobs are given, told apart by how a file begins.

A row that is wrong fails alone; a file of another format than was told would fail row by row, or be read as
what it is not. So its first bytes are looked at before anything else.
"""

from __future__ import annotations

from typing import Final

import orjson

from hanax.core.errors import InvalidUpload
from hanax.core.job_specs import UploadFormat

# As much of a file as `check_format` is to be given.
HEAD_BYTES: Final = 4_096

# What the ending of a file's name says, in lower case.
FORMAT_BY_ENDING: Final = {
    ".jsonl": UploadFormat.JSONL,
    ".ndjson": UploadFormat.JSONL,
    ".csv": UploadFormat.CSV,
    ".parquet": UploadFormat.PARQUET,
    ".npy": UploadFormat.NPY,
    ".fvecs": UploadFormat.FVECS,
}

# How files of other formats begin.
_MAGIC: Final = {
    b"PAR1": "a Parquet file",
    b"\x93NUMPY": "a .npy file",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"%PDF": "a PDF file",
    b"ARROW1": "an Arrow file",
    b"Obj\x01": "an Avro file",
}
_OWN_MAGIC: Final = {UploadFormat.PARQUET: b"PAR1", UploadFormat.NPY: b"\x93NUMPY"}
_UTF8_MARK: Final = b"\xef\xbb\xbf"

# Rows that may be malformed before the file is taken to be something else.
_LINES_LOOKED_AT: Final = 10


def check_format(head: bytes, told: UploadFormat) -> None:
    """head: the first HEAD_BYTES of a file, or all of it. Raises InvalidUpload, saying what it seems."""
    if not head:
        raise InvalidUpload("the upload is empty", format=told.value)
    seen = _seen(head, told)
    if seen:
        raise InvalidUpload(f"the upload is {seen}, the job says {told.value}", format=told.value, seen=seen)


def _seen(head: bytes, told: UploadFormat) -> str:
    """What the file is instead; empty: it may be what was told."""
    own = _OWN_MAGIC.get(told)
    if own is not None and head.startswith(own):
        return ""
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if told is UploadFormat.FVECS:
        return _instead_of_vectors(head)
    if own is not None:
        return f"no {told.value} file"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text in UTF-16"
    if b"\x00" in head:
        return "a binary file"
    return _instead_of_text(head.removeprefix(_UTF8_MARK), told)


def _instead_of_vectors(head: bytes) -> str:
    """The first four bytes are a dimension; text would be one of hundreds of millions."""
    dimension = int.from_bytes(head[:4], "little", signed=True)
    return "" if len(head) >= 8 and 0 < dimension < 2**24 else "no fvecs file"


def _instead_of_text(text: bytes, told: UploadFormat) -> str:
    whole = len(text) < HEAD_BYTES - len(_UTF8_MARK)
    lines = [line.strip() for line in text.split(b"\n")]
    lines = [line for line in (lines if whole else lines[:-1] or lines) if line][:_LINES_LOOKED_AT]
    if told is UploadFormat.JSONL:
        if not lines or any(line.startswith(b"{") for line in lines):
            return ""
        return "a JSON list" if lines[0].startswith(b"[") else "no file with a JSON object in each line"
    return "a file of JSON objects" if lines and _is_object(lines[0]) else ""


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
