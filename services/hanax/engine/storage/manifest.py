"""What is live in a shard: its segments, their tombstones, and the log sequence they cover."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hanax.engine.schema import Schema
from hanax.engine.storage.files import read_document, write_document

FORMAT = 1
NAME = "MANIFEST.json"
# What a shard's folder holds beside the manifest.
FOLDERS = ("segments", "indexes", "tombstones", "log")


@dataclass(frozen=True, slots=True)
class TombstoneFile:
    file: str
    checksum: str
    bytes: int


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """indexes: names of the folders of its vector indexes. metadata_index: of the folder of that which takes
    the place of the segment's own, empty for none. Manifests written before there were any have neither.
    """

    name: str
    tombstones: TombstoneFile | None
    indexes: tuple[str, ...] = ()
    metadata_index: str = ""

    @property
    def index_folders(self) -> tuple[str, ...]:
        return (*self.indexes, self.metadata_index) if self.metadata_index else self.indexes


@dataclass(frozen=True, slots=True)
class Manifest:
    schema: Schema
    covered_sequence: int = 0
    next_segment: int = 1
    segments: tuple[SegmentEntry, ...] = ()

    def save(self, folder: Path) -> None:
        """Replace the shard's manifest; every file it names is durable already."""
        segments: list[dict[str, Any]] = []
        for entry in self.segments:
            dead = entry.tombstones
            segments.append(
                {
                    "name": entry.name,
                    "tombstones": dead
                    and {"file": dead.file, "checksum": dead.checksum, "bytes": dead.bytes},
                    "indexes": list(entry.indexes),
                    "metadata_index": entry.metadata_index,
                }
            )
        write_document(
            folder / NAME,
            {
                "format": FORMAT,
                "schema": self.schema.to_data(),
                "covered_sequence": self.covered_sequence,
                "next_segment": self.next_segment,
                "segments": segments,
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Raises DataLoss when it is missing or damaged."""
        body = read_document(folder / NAME, FORMAT)
        return cls(
            Schema.from_data(body["schema"]),
            body["covered_sequence"],
            body["next_segment"],
            tuple(
                SegmentEntry(
                    entry["name"],
                    TombstoneFile(**entry["tombstones"]) if entry["tombstones"] else None,
                    tuple(entry.get("indexes", ())),
                    entry.get("metadata_index", ""),
                )
                for entry in body["segments"]
            ),
        )
