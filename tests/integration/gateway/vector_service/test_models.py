"""ModelService: how the models are, as REST tells it."""

from __future__ import annotations

import grpc

from citadel.vector.v1 import models_pb2 as pb
from citadel.vector.v1.models_pb2_grpc import ModelServiceStub
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import TIMEOUT_S, channel_to, refused


def test_models_are_told_as_over_rest(stack: Stack) -> None:
    (over_rest,) = stack.data(stack.client.get("/external/status"))["models"]
    with channel_to(stack) as channel:
        service = ModelServiceStub(channel)
        (told,) = service.ListModelStatuses(pb.ListModelStatusesRequest(), timeout=TIMEOUT_S).models
        one = service.GetModelStatus(pb.GetModelStatusRequest(model="hash-384"), timeout=TIMEOUT_S).model
    for name in ("model", "health", "protocol", "pattern", "dimension", "max_tokens", "load_balancing"):
        assert getattr(told, name) == getattr(one, name) == over_rest[name]
    assert [endpoint.address for endpoint in told.endpoints] == [
        endpoint["address"] for endpoint in over_rest["endpoints"]
    ]


def test_a_model_that_is_not_served(stack: Stack) -> None:
    with grpc.insecure_channel(stack.gateway.grpc_address) as channel, refused() as errors:
        ModelServiceStub(channel).GetModelStatus(pb.GetModelStatusRequest(model="nope"), timeout=TIMEOUT_S)
    assert errors[0].code == "model_not_found"
