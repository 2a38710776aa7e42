"""Which methods of a service are asked on wires: its contract says so, with NO_SIDE_EFFECTS.

A question whose wire is lost is asked again over gRPC, so that they are reads.
"""

from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions


def wired_methods(service: ServiceDescriptor) -> dict[str, MethodDescriptor]:
    """By their names."""
    return {
        method.name: method
        for method in service.methods
        if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    }
