"""The services of the gRPC door, as their contracts tell of them."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor

from citadel.vector.v1 import (
    jobs_pb2,
    keys_pb2,
    libraries_pb2,
    models_pb2,
    platform_pb2,
    vector_pb2,
)

FILES: Final[tuple[FileDescriptor, ...]] = (
    jobs_pb2.DESCRIPTOR,
    keys_pb2.DESCRIPTOR,
    libraries_pb2.DESCRIPTOR,
    models_pb2.DESCRIPTOR,
    platform_pb2.DESCRIPTOR,
    vector_pb2.DESCRIPTOR,
)
SERVICES: Final[tuple[ServiceDescriptor, ...]] = tuple(
    service for file in FILES for service in file.services_by_name.values()
)
# No two services have a method of one name.
METHODS: Final[dict[str, MethodDescriptor]] = {
    method.name: method for service in SERVICES for method in service.methods
}
