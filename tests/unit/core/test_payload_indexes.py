"""Pins of metadata fields in a collection's spec."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hanax.core.limits import MAX_PAYLOAD_INDEXES
from hanax.core.specs import CollectionChange, CollectionSpec, PayloadIndex


def spec(**more: Any) -> CollectionSpec:
    return CollectionSpec.model_validate({"name": "a", "dimension": 3, **more})


def test_pins_are_read_and_written_by_name() -> None:
    pins = {f"a.b{number}": kind.value for number, kind in enumerate(PayloadIndex)}
    pinned = spec(payload_indexes=pins)
    assert pinned.payload_indexes == pins
    assert CollectionSpec.model_validate_json(pinned.model_dump_json()) == pinned


def test_none_are_pinned_unasked_and_none_are_changed_unasked() -> None:
    assert spec().payload_indexes == {}
    assert "payload_indexes" not in CollectionChange.model_validate({"target_recall": 0.9}).model_fields_set


@pytest.mark.parametrize(
    "pins",
    [
        None,
        ["title"],
        {"title": "word"},
        {"title": None},
        {"title": ["text"]},
        {"": "text"},
        {"a..b": "text"},
        {".a": "text"},
        {"a.": "text"},
        {"x" * 513: "text"},
        {f"f{number}": "none" for number in range(MAX_PAYLOAD_INDEXES + 1)},
    ],
)
def test_bad_pins_are_refused(pins: Any) -> None:
    """On creation, and on a change."""
    with pytest.raises(ValidationError, match="payload_indexes"):
        spec(payload_indexes=pins)
    with pytest.raises(ValidationError, match="payload_indexes"):
        CollectionChange.model_validate({"payload_indexes": pins})
