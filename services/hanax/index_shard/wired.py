"""What answers the methods that are asked on wires."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from citadel.vector.v1 import shard_pb2 as pb
from citadel.vector.v1.shard_pb2_grpc import ShardServiceServicer
from hanax.rpc.wire_servers import WireMethod
from hanax.rpc.wired_methods import wired_methods

# On a wire there is none; reads ask nothing of it.
_NO_CONTEXT: Final = cast("grpc.ServicerContext", None)


def wire_methods(service: ShardServiceServicer) -> dict[str, WireMethod]:
    """Of an index-shard, by their names."""
    methods = wired_methods(pb.DESCRIPTOR.services_by_name["ShardService"])
    return {
        name: WireMethod(GetMessageClass(method.input_type).FromString, _alone(getattr(service, name)))
        for name, method in methods.items()
    }


def _alone(method: Callable[[Any, grpc.ServicerContext], Message]) -> Callable[[Any], Message]:
    return lambda request: method(request, _NO_CONTEXT)
