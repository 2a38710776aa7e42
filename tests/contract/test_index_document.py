"""docs/indexes.md tells of every index, parameter and quantisation what the code has."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from hanax.core.index_specs import QUANTISATIONS, IndexSpec, SearchParameters
from hanax.core.limits import MAX_HASH_BITS
from hanax.engine.index.recommendation import FLAT_ROWS, KD_TREE_DIMENSIONS

TEXT = (Path(__file__).parents[2] / "docs" / "indexes.md").read_text()
INDEXES: dict[str, type[BaseModel]] = {
    spec.model_fields["type"].default: spec for spec in get_args(get_args(IndexSpec)[0])
}


def rows_under(heading: str) -> list[list[str]]:
    """The cells of the first table in a section, without its head."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = next(block for block in section.strip().split("\n\n") if block.startswith("|"))
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.split("\n")[2:]]


def test_every_index_is_told() -> None:
    assert [row[0].strip("`") for row in rows_under("Which index when")] == [
        "auto",
        "flat",
        "ivf",
        "hnsw",
        "lsh",
        "kd_tree",
    ]
    assert {"auto", "flat", "ivf", "hnsw", "lsh", "kd_tree"} == set(INDEXES)
    assert {row[0].strip("`") for row in rows_under("What they cost")} == set(INDEXES) - {"auto"}


def test_every_parameter_is_told_with_its_default_and_range() -> None:
    told: dict[tuple[str, str], tuple[str, str]] = {}
    kind = ""
    for index, name, default, meaning in rows_under("Parameters"):
        kind = index.strip("`") or kind
        told[kind, name.strip("`")] = (default, meaning)
    expected = {
        (kind, name) for kind, spec in INDEXES.items() for name in spec.model_fields if name != "type"
    }
    assert set(told) == expected
    for (kind, name), (default, meaning) in told.items():
        field = INDEXES[kind].model_fields[name]
        if field.default is None:
            assert default == ("by the count" if name == "lists" else "measured")
        else:
            assert default == str(field.default)
        bounds = [getattr(bound, "ge", None) or getattr(bound, "le", None) for bound in field.metadata]
        assert f"{bounds[0]:,} to {bounds[1]:,}" in meaning, (kind, name)


def test_quantisations_are_told_as_they_can_be_combined() -> None:
    columns = ("flat", "ivf", "hnsw", "lsh", "kd_tree")
    told: dict[str, set[str]] = {kind: set() for kind in columns}
    first: dict[str, str] = {}
    for quantisation, _, *cells in rows_under("Quantisation"):
        for kind, cell in zip(columns, cells, strict=True):
            if cell:
                told[kind].add(quantisation.strip("`"))
            if cell == "first":
                first[kind] = quantisation.strip("`")
    assert told == {kind: set(able) for kind, able in QUANTISATIONS.items()}
    assert first == {kind: able[0] for kind, able in QUANTISATIONS.items()}


def test_the_rules_of_auto_are_those_of_the_code() -> None:
    assert f"fewer than {FLAT_ROWS:,} vectors: `flat`" in TEXT
    assert f"up to {KD_TREE_DIMENSIONS} dimensions" in TEXT
    assert f"more than {MAX_HASH_BITS} hash functions" in TEXT
    for name in SearchParameters.model_fields:
        assert f"`{name}`" in TEXT
