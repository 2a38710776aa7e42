"""docs/grpc.md: its examples run as they are written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import grpc
import pytest

from citadel.vector.v1 import vector_pb2 as pb
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import connected

GUIDE = Path(__file__).parents[4] / "docs" / "grpc.md"


def test_the_examples_of_the_guide(shards: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    points, errors = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert "127.0.0.1:8081" in points
    exec(points.replace("127.0.0.1:8081", shards.gateway.grpc_address), {})
    told = capsys.readouterr().out.splitlines()
    assert told == ["stored 1000", "read 500 (500, 64)", "read 500 (500, 64)"]

    defined: dict[str, Any] = {}
    exec(errors, defined)
    with connected(shards) as service, pytest.raises(grpc.RpcError) as failure:
        service.GetCollection(pb.GetCollectionRequest(name="nope"))
    assert defined["reason_of"](failure.value) == ("collection_not_found", '{"collection":"nope"}')


def test_the_guide_names_every_method() -> None:
    for method in pb.DESCRIPTOR.services_by_name["VectorService"].methods:
        assert method.name in GUIDE.read_text(), method.name
