"""Documents that carry their own checksum, and the manifest, which is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanax.core.distances import Metric
from hanax.core.errors import DataLoss
from hanax.engine.schema import Schema, VectorField
from hanax.engine.storage.files import checked_size, read_document, write_document, write_durably
from hanax.engine.storage.manifest import NAME, Manifest, SegmentEntry, TombstoneFile

MANIFEST = Manifest(
    Schema({"default": VectorField(384, Metric.COSINE), "title": VectorField(3, Metric.MANHATTAN)}),
    covered_sequence=1_200,
    next_segment=3,
    segments=(
        SegmentEntry(
            "00000001",
            TombstoneFile("00000001-1200", "0123456789abcdef", 22),
            ("00000001-4",),
            "00000001-5",
        ),
        SegmentEntry("00000002", None),
    ),
)


def test_a_manifest_there_and_back(folder: Path) -> None:
    Manifest(MANIFEST.schema).save(folder)
    assert Manifest.load(folder) == Manifest(MANIFEST.schema)
    MANIFEST.save(folder)
    assert Manifest.load(folder) == MANIFEST
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_a_manifest_is_the_documented_json(folder: Path) -> None:
    MANIFEST.save(folder)
    outer = json.loads((folder / NAME).read_bytes())
    assert set(outer) == {"checksum", "body"}
    assert outer["body"] == {
        "format": 1,
        "schema": {
            "default": {"dimension": 384, "metric": "cosine"},
            "title": {"dimension": 3, "metric": "manhattan"},
        },
        "covered_sequence": 1_200,
        "next_segment": 3,
        "segments": [
            {
                "name": "00000001",
                "tombstones": {"file": "00000001-1200", "checksum": "0123456789abcdef", "bytes": 22},
                "indexes": ["00000001-4"],
                "metadata_index": "00000001-5",
            },
            {"name": "00000002", "tombstones": None, "indexes": [], "metadata_index": ""},
        ],
    }


@pytest.mark.parametrize("change", [0x01, 0x20, 0x80, 0xFF])
def test_any_changed_byte_of_a_manifest_is_data_loss(folder: Path, change: int) -> None:
    MANIFEST.save(folder)
    path = folder / NAME
    good = path.read_bytes()
    # The last byte ends the line.
    for place in range(len(good) - 1):
        bad = bytearray(good)
        bad[place] ^= change
        path.write_bytes(bytes(bad))
        with pytest.raises(DataLoss, match=NAME):
            Manifest.load(folder)


def test_any_shorter_manifest_is_data_loss(folder: Path) -> None:
    MANIFEST.save(folder)
    path = folder / NAME
    good = path.read_bytes()
    for cut in range(len(good) - 1):
        path.write_bytes(good[:cut])
        with pytest.raises(DataLoss, match=NAME):
            Manifest.load(folder)
    path.unlink()
    with pytest.raises(DataLoss, match="missing"):
        Manifest.load(folder)


def test_another_format_is_refused_by_number(folder: Path) -> None:
    write_document(folder / "document", {"format": 2})
    with pytest.raises(DataLoss, match="has format 2; this version reads 1"):
        read_document(folder / "document", 1)


@pytest.mark.parametrize("text", ["[]", "1", "null", '{"checksum":"","body":null}', '"x"', "{}"])
def test_json_of_another_shape_is_data_loss(folder: Path, text: str) -> None:
    (folder / "document").write_text(text)
    with pytest.raises(DataLoss, match="damaged"):
        read_document(folder / "document", 1)


def test_a_file_against_its_size_and_checksum(folder: Path) -> None:
    path = folder / "file"
    size, checksum = write_durably(path, [b"some ", b"", b"bytes"])
    assert size == 10
    checked_size(path, size, checksum)
    with pytest.raises(DataLoss, match="10 bytes instead of 11"):
        checked_size(path, 11, checksum)
    path.write_bytes(b"Some bytes")
    with pytest.raises(DataLoss, match="checksum"):
        checked_size(path, size, checksum)
    path.unlink()
    with pytest.raises(DataLoss, match="missing"):
        checked_size(path, size, checksum)
