"""The client's copy of the stubs beside the services' own: in one process, and the same on the wire."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from citadel.vector.v1 import libraries_pb2, vector_pb2
from hxp_vector_client import _stubs
from hxp_vector_client._stubs import (
    jobs_pb2_grpc,
    keys_pb2_grpc,
    libraries_pb2_grpc,
    models_pb2_grpc,
    platform_pb2_grpc,
    vector_pb2_grpc,
)
from hxp_vector_client._stubs import libraries_pb2 as client_libraries_pb2
from hxp_vector_client._stubs import vector_pb2 as client_pb2

FOLDER = Path(_stubs.__file__).parent


def test_both_are_in_one_process() -> None:
    """Each in a pool of its own: versions may differ."""
    assert client_pb2.DESCRIPTOR.pool is _stubs.POOL
    assert client_pb2.DESCRIPTOR.pool is not vector_pb2.DESCRIPTOR.pool
    sent = client_pb2.SearchVectorsRequest(
        collection="docs",
        vector=client_pb2.Vector(values=[1, 2]),
        fields=client_pb2.PointFields(metadata=True),
    )
    taken = vector_pb2.SearchVectorsRequest.FromString(sent.SerializeToString())
    assert (taken.collection, list(taken.vector.values), taken.fields.metadata) == ("docs", [1, 2], True)
    library = libraries_pb2.Library(id="a", metric=vector_pb2.METRIC_DOT)
    told = client_libraries_pb2.Library.FromString(library.SerializeToString())
    assert told.metric == client_pb2.METRIC_DOT


def test_every_service_has_its_stub() -> None:
    with grpc.insecure_channel("127.0.0.1:9") as channel:
        for stub in (
            jobs_pb2_grpc.JobServiceStub(channel),
            keys_pb2_grpc.KeyServiceStub(channel),
            libraries_pb2_grpc.LibraryServiceStub(channel),
            models_pb2_grpc.ModelServiceStub(channel),
            platform_pb2_grpc.PlatformServiceStub(channel),
            vector_pb2_grpc.VectorServiceStub(channel),
        ):
            assert vars(stub)


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("*.py*")))
def test_nothing_of_the_services_is_imported(file: str) -> None:
    assert "from citadel" not in (FOLDER / file).read_text()
