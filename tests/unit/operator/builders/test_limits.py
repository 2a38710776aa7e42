"""What processes are told of their pods' limits."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.resources.scheduling import Resources
from hanax.core.settings import EmbedderSettings, ShardSettings
from hanax_operator.build.limits import embedder_limits, shard_limits

MI = 1024 * 1024


@pytest.mark.parametrize(
    ("resources", "memory", "segment", "threads"),
    [
        ({}, None, None, None),
        ({"limits": {"memory": "8Gi"}}, 2048 * MI, None, None),
        # A request without a limit: the process would see the memory of the whole machine.
        ({"requests": {"memory": "8Gi"}}, 2048 * MI, None, None),
        ({"requests": {"memory": "1Gi"}, "limits": {"memory": "8Gi"}}, 2048 * MI, None, None),
        ({"limits": {"memory": "1Gi"}}, 256 * MI, None, None),
        ({"limits": {"memory": "512Mi"}}, 128 * MI, 32 * MI, None),
        ({"limits": {"memory": 1}}, 0, 65_536, None),
        # A request of CPU limits nothing.
        ({"requests": {"cpu": 2}}, None, None, None),
        ({"limits": {"cpu": "100m"}}, None, None, 1),
        ({"limits": {"cpu": "1500m"}}, None, None, 2),
        ({"limits": {"cpu": 4}}, None, None, 4),
        ({"limits": {"cpu": "1k"}}, None, None, 256),
        # A limit of nothing is none.
        ({"limits": {"cpu": 0, "memory": 0}}, None, None, None),
        ({"limits": {"memory": 0}, "requests": {"memory": 0}}, None, None, None),
    ],
)
def test_settings_of_an_index_shard(
    resources: dict[str, Any], memory: int | None, segment: int | None, threads: int | None
) -> None:
    expected = {
        "HANAX_INDEX_MEMORY_BYTES": memory,
        "HANAX_SEGMENT_MAX_BYTES": segment,
        "HANAX_INDEX_BUILD_THREADS": threads,
    }
    found = shard_limits(Resources(**resources))
    assert found == {name: str(value) for name, value in expected.items() if value is not None}


def test_nothing_is_told_where_nothing_is_asked() -> None:
    assert shard_limits(None) == {}
    assert embedder_limits(None) == {}


def test_settings_of_an_embedder() -> None:
    assert embedder_limits(Resources(limits={"cpu": "2500m"})) == {"HANAX_EMBEDDER_THREADS": "3"}
    assert embedder_limits(Resources(requests={"cpu": 2})) == {}


def test_the_processes_take_what_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Resources(limits={"cpu": "1k", "memory": 1})
    for name, value in (shard_limits(asked) | embedder_limits(asked)).items():
        monkeypatch.setenv(name, value)
    shard = ShardSettings()
    assert (shard.segment_max_bytes, shard.index_build_threads, shard.index_memory_bytes) == (65_536, 256, 0)
    assert EmbedderSettings().embedder_threads == 256
