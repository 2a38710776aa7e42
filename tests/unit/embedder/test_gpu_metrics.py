"""Metrics of GPUs are there where GPUs are, and cost nothing elsewhere."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hanax.embedder.gpu_metrics import add_gpu_metrics


def test_a_process_that_may_see_no_gpu_tells_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    registry = CollectorRegistry()
    assert add_gpu_metrics(registry) == 0
    assert generate_latest(registry) == b""


def test_what_is_told_fits_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    registry = CollectorRegistry()
    memory_bytes = add_gpu_metrics(registry)
    total = registry.get_sample_value("vector_db_gpu_memory_bytes", {"gpu": "0"})
    assert memory_bytes == (total or 0)
