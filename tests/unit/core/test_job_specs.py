"""Specs of jobs: what is kept is what was sent, and what does not go together is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hanax.core.job_specs import JOB_SPEC, SPEC_BY_KIND, JobKind, UploadFormat
from hanax.core.limits import MAX_BATCH_POINTS

EMBED = {"kind": "bulk_embed"}
INSERT = {"kind": "bulk_insert", "collection": "docs"}
REEMBED = {"kind": "reembed", "collection": "docs", "target": "new", "model": "e5"}


@pytest.mark.parametrize(
    "told",
    [
        EMBED,
        {**EMBED, "collection": "docs", "rows": "points", "mode": "insert", "long_texts": "split"},
        {**EMBED, "normalize": False, "dimensions": 64, "result_format": "npy", "purpose": "query"},
        {**INSERT, "format": "fvecs", "id_field": None, "metadata": "none", "batch_size": 10_000},
        {**REEMBED, "alias": "current", "priority": 9, "on_error": "stop"},
    ],
)
def test_what_is_kept_is_read_as_it_was_sent(told: dict[str, Any]) -> None:
    """A kept spec has every field, those that were not sent too."""
    spec = JOB_SPEC.validate_python(told)
    kept = spec.model_dump(mode="json", exclude={"items"})
    assert JOB_SPEC.validate_python(kept) == spec
    assert {name: kept[name] for name in told} == told
    assert type(spec) is SPEC_BY_KIND[JobKind(told["kind"])]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({**EMBED, "items": []}, "at least one"),
        ({**EMBED, "items": "text"}, "expected a list"),
        ({**EMBED, "items": [{}] * (MAX_BATCH_POINTS + 1)}, "upload a file"),
        ({**EMBED, "rows": "points"}, "points need a collection"),
        ({**EMBED, "collection": "docs", "dimensions": 3}, "dimensions: goes with a result file"),
        ({**EMBED, "collection": "docs", "result_format": "npy"}, "result_format"),
        ({**EMBED, "text_field": ""}, "text_field"),
        ({**EMBED, "text_field": "a\x00"}, "text_field"),
        ({**INSERT, "batch_size": 10_001}, "batch_size"),
        ({**INSERT, "priority": -1}, "priority"),
        ({**INSERT, "format": "xml"}, "format"),
        ({**REEMBED, "format": UploadFormat.CSV}, "format"),
        ({**REEMBED, "target": "No Name"}, "target"),
    ],
)
def test_what_does_not_go_together_is_refused(told: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        JOB_SPEC.validate_python(told)
    assert words in str(refusal.value)
