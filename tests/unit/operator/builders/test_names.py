"""Names are DNS labels, no two objects of a kind share one, and each is the same in every release."""

from __future__ import annotations

import re

import pytest

from hanax_operator.build import names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (names.stateful_set_name("docs", 0), "vc-docs-0"),
        (names.stateful_set_name("a" * 47, 10), f"vc-{'a' * 47}-10"[:43] + "-a02f896a"),
        (names.pod_name("docs", 1, 2), "vc-docs-1-2"),
        (names.claim_name("docs", 1, 2), "data-vc-docs-1-2"),
        (names.collection_service_name("docs"), "vc-docs"),
        (names.collection_service_name("a" * 60), f"vc-{'a' * 60}"),
        (names.model_object_name("minilm"), "xm-minilm"),
        (names.model_object_name("bge.m3"), "xm-bge-m3-b3a4efcc"),
        (names.cache_name("minilm"), "xm-minilm-cache"),
    ],
)
def test_names_never_change(name: str, expected: str) -> None:
    """Volumes are found by them: another name would be an empty volume."""
    assert name == expected


def test_names_that_are_too_long_stay_apart() -> None:
    long = [f"{'a' * 61}{letter}b"[:63] for letter in "xyz"]
    found = [names.stateful_set_name(name, shard) for name in long for shard in (0, 1, 11, 63)]
    assert len(set(found)) == len(found)
    assert all(len(name) <= 52 for name in found)


@pytest.mark.parametrize("name", ["a", "a-b", "a" * 63, "a" * 33 + "-" * 10 + "b" * 20])
def test_names_are_dns_labels(name: str) -> None:
    label = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
    for found in (
        names.stateful_set_name(name, 63),
        names.pod_name(name, 63, 8),
        names.collection_service_name(name),
        names.model_object_name(name),
    ):
        assert label.fullmatch(found), found


def test_a_dot_and_a_dash_are_not_the_same() -> None:
    assert names.model_object_name("a.b") != names.model_object_name("a-b")
