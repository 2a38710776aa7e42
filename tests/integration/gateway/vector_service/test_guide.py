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
    points, streams, errors = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)

    def told(example: str) -> list[str]:
        assert "127.0.0.1:8081" in example
        exec(example.replace("127.0.0.1:8081", shards.gateway.grpc_address), {})
        # What the reconciler of this process logs, whenever it does, is none of the example's.
        return [line for line in capsys.readouterr().out.splitlines() if "routing table" not in line]

    stored, *found, first, second = told(points)
    assert (stored, first, second) == ("stored 1000", "read 500 (500, 64)", "read 500 (500, 64)")
    assert re.fullmatch(r'found 7 \d+\.\d+ \{"year":2024\}', found[0])
    assert len(found) == 3
    assert told(streams) == ["durable 3000"]

    defined: dict[str, Any] = {}
    exec(errors, defined)
    with connected(shards) as service, pytest.raises(grpc.RpcError) as failure:
        service.GetCollection(pb.GetCollectionRequest(name="nope"))
    assert defined["reason_of"](failure.value) == ("collection_not_found", '{"collection":"nope"}')
