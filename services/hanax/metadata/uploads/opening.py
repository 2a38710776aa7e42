"""Where uploads are kept, as the settings say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hanax.metadata.database import Database
from hanax.metadata.uploads.folder import FolderUploads
from hanax.metadata.uploads.pieces import PiecesUploads
from hanax.metadata.uploads.port import Uploads
from hanax.metadata.uploads.records import UploadRecords


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """folder: None for the database. limit_bytes: of one upload."""

    folder: Path | None
    limit_bytes: int


def open_uploads(database: Database, options: UploadOptions, now_us: Callable[[], int]) -> Uploads:
    """now_us: microseconds since 1970 UTC."""
    if options.folder is None:
        records = UploadRecords(database, "database", now_us)
        return PiecesUploads(database, records, options.limit_bytes)
    return FolderUploads(options.folder, UploadRecords(database, "folder", now_us), options.limit_bytes)
