"""ExternalModels are read whole or refused."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.errors import InvalidArgument
from hanax.core.resources.models import ExternalModelSpec, ExternalModelStatus, LastFailure, Model


def declared(spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    metadata = {
        "name": "e5",
        "namespace": "vectors",
        "uid": "5d1c",
        "generation": 1,
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    return {"metadata": metadata, "spec": spec, **more}


def test_defaults_are_those_that_are_promised() -> None:
    spec = Model.parse(declared({"dimensions": 384, "serve": {"model": "e5-small"}})).spec
    assert (spec.pattern, spec.max_tokens, spec.timeout_seconds) == ("real_time", 8_192, 30)
    assert (spec.retry_attempts, spec.weight, spec.health_check_path) == (3, 1.0, "/health")
    assert spec.serve is not None
    assert spec.serve.replicas == 1
    assert not spec.serve.on_gpu
    assert spec.manifest() == {"dimensions": 384, "serve": {"model": "e5-small"}}


def test_a_gpu_decides_the_device_when_nothing_is_said() -> None:
    spec = ExternalModelSpec.model_validate({"dimensions": 3, "serve": {"model": "a", "gpu": {}}})
    assert spec.serve is not None
    assert spec.serve.on_gpu
    assert spec.serve.gpu is not None
    assert (spec.serve.gpu.count, spec.serve.gpu.resource_name) == (1, "nvidia.com/gpu")


def test_a_fault_inside_names_its_place() -> None:
    spec = {"dimensions": 3, "serve": {"model": "a", "autoscaling": {"min": 3, "max": 2}}}
    with pytest.raises(InvalidArgument, match=r"^spec\.serve\.autoscaling\.min: expected max at most$"):
        Model.parse(declared(spec))


def test_a_status_is_read_back() -> None:
    failure = LastFailure(reason="Timeout", message="no answer in 5 s", time="2026-01-02T03:04:05Z")
    status = ExternalModelStatus(observed_generation=1, last_failure=failure, ready_replicas=0)
    written = status.manifest()
    assert written["lastFailure"]["reason"] == "Timeout"
    assert written["readyReplicas"] == 0
    obj = declared({"dimensions": 3, "serve": {"model": "a"}}, status=written)
    assert Model.parse(obj).status == status
