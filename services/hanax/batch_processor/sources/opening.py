"""From an upload to its source."""

from __future__ import annotations

from pathlib import Path

from hanax.batch_processor.sources import Source
from hanax.batch_processor.sources.jsonl import JsonLines
from hanax.batch_processor.sources.matrices import Fvecs, Npy
from hanax.batch_processor.sources.separated import SeparatedValues
from hanax.core.job_formats import HEAD_BYTES, check_format
from hanax.core.job_specs import BulkEmbed, BulkInsert, UploadFormat


def open_source(path: Path, spec: BulkEmbed | BulkInsert) -> Source:
    """Blocking. Raises InvalidUpload for a file that is not of the format that the job says."""
    told = spec.format or UploadFormat.JSONL
    with path.open("rb") as file:
        check_format(file.read(HEAD_BYTES), told)
    match told:
        case UploadFormat.JSONL:
            return JsonLines(path)
        case UploadFormat.CSV:
            return SeparatedValues(path, _verbatim(spec))
        case UploadFormat.PARQUET:
            # An import of 100 ms, which most jobs do not need.
            from hanax.batch_processor.sources.parquet import Parquet

            return Parquet(path)
        case UploadFormat.NPY:
            return Npy(path, vector_field(spec))
        case UploadFormat.FVECS:
            return Fvecs(path, vector_field(spec))


def vector_field(spec: BulkEmbed | BulkInsert) -> str:
    return spec.vector_field if isinstance(spec, BulkInsert) else "vector"


def _verbatim(spec: BulkEmbed | BulkInsert) -> list[str]:
    """Columns of a CSV whose values are taken as they are written: a text is no number."""
    if isinstance(spec, BulkEmbed):
        return ["text"] if spec.rows == "points" else [spec.text_field]
    return []
