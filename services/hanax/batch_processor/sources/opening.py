"""From an upload to its source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hanax.batch_processor.sources import Source
from hanax.batch_processor.sources.jsonl import JsonLines
from hanax.batch_processor.sources.matrices import Fvecs, Npy
from hanax.batch_processor.sources.separated import SeparatedValues
from hanax.core.errors import InvalidUpload
from hanax.core.job_formats import HEAD_BYTES, check_format
from hanax.core.job_specs import BulkEmbed, BulkInsert, UploadFormat

# Names of columns in a message.
_TOLD_COLUMNS: Final = 20


def open_source(path: Path, spec: BulkEmbed | BulkInsert) -> Source:
    """Blocking. Raises InvalidUpload for a file that is not of the format that the job says, or a table
    without a column of what is to be stored: each row of it would fail for that alone.
    """
    told = spec.format or UploadFormat.JSONL
    with path.open("rb") as file:
        check_format(file.read(HEAD_BYTES), told)
    match told:
        case UploadFormat.JSONL:
            return JsonLines(path)
        case UploadFormat.CSV:
            separated = SeparatedValues(path, _verbatim(spec), _id_field(spec))
            _check_columns(separated.columns, spec)
            return separated
        case UploadFormat.PARQUET:
            # An import of 100 ms, which most jobs do not need.
            from hanax.batch_processor.sources.parquet import Parquet

            parquet = Parquet(path)
            _check_columns(parquet.columns, spec)
            return parquet
        case UploadFormat.NPY:
            return Npy(path, vector_field(spec))
        case UploadFormat.FVECS:
            return Fvecs(path, vector_field(spec))


def _check_columns(columns: Sequence[str], spec: BulkEmbed | BulkInsert) -> None:
    if isinstance(spec, BulkEmbed) and spec.rows == "points":
        wanted, said_by = ["text", "vector", "embedding"], ""
    elif isinstance(spec, BulkEmbed):
        wanted, said_by = [spec.text_field], "; text_field says which one has the texts"
    else:
        wanted, said_by = [spec.vector_field], "; vector_field says which one has the vectors"
    if not set(wanted).isdisjoint(columns):
        return
    there = ", ".join(repr(name[:60]) for name in columns[:_TOLD_COLUMNS])
    more = f" and {len(columns) - _TOLD_COLUMNS} more" if len(columns) > _TOLD_COLUMNS else ""
    raise InvalidUpload(
        f"the upload has no column {' or '.join(map(repr, wanted))}; its columns are {there}{more}{said_by}",
        columns=[name[:60] for name in columns[:_TOLD_COLUMNS]],
        expected=wanted,
    )


def vector_field(spec: BulkEmbed | BulkInsert) -> str:
    return spec.vector_field if isinstance(spec, BulkInsert) else "vector"


def _verbatim(spec: BulkEmbed | BulkInsert) -> list[str]:
    """Columns of a CSV whose values are taken as they are written: a text is no number."""
    if isinstance(spec, BulkEmbed):
        return ["text"] if spec.rows == "points" else [spec.text_field]
    return []


def _id_field(spec: BulkEmbed | BulkInsert) -> str | None:
    return "id" if isinstance(spec, BulkEmbed) and spec.rows == "points" else spec.id_field
