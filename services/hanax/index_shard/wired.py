"""Which methods are answered on wires: reads, that change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from citadel.vector.v1 import shard_pb2 as pb
from citadel.vector.v1.shard_pb2_grpc import ShardServiceServicer
from hanax.rpc.wire_servers import WireMethod

WIRED: Final = ("Search", "Recommend", "SearchGroups", "Get", "Scroll", "Count", "Facet", "Distinct")

# On a wire there is none; reads ask nothing of it.
_NO_CONTEXT: Final = cast("grpc.ServicerContext", None)


def wire_methods(service: ShardServiceServicer) -> dict[str, WireMethod]:
    methods = pb.DESCRIPTOR.services_by_name["ShardService"].methods_by_name
    return {
        name: WireMethod(GetMessageClass(methods[name].input_type).FromString, _alone(getattr(service, name)))
        for name in WIRED
    }


def _alone(method: Callable[[Any, grpc.ServicerContext], Message]) -> Callable[[Any], Message]:
    return lambda request: method(request, _NO_CONTEXT)
