"""Conditions of writes, decoded: every one is checked before the engine sees it."""

from __future__ import annotations

import pytest

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import InvalidArgument, VersionConflict
from hanax.core.ids import encode_id
from hanax.core.limits import MAX_CHANGED_FIELDS
from hanax.engine.shard import Conditions, MetadataChange, WriteMode
from hanax.engine.shard.conditions import UNCONDITIONAL
from hanax.index_shard import writes

IDS = [encode_id(id_) for id_ in (1, 2, "a")]


def test_a_write_without_conditions_is_a_plain_one() -> None:
    for mode in (pb.WRITE_MODE_UNSPECIFIED, pb.WRITE_MODE_UPSERT):
        for versions in ([], [-1, -1, -1]):
            request = pb.UpsertRequest(ids=IDS, mode=mode, if_versions=versions)
            assert writes.decode_conditions(request, IDS) is UNCONDITIONAL


def test_conditions_are_those_that_were_sent() -> None:
    request = pb.UpsertRequest(ids=IDS, mode=pb.WRITE_MODE_UPDATE, if_versions=[-1, 0, 2**63 - 1])
    expected = Conditions(WriteMode.UPDATE, {IDS[1]: 0, IDS[2]: 2**63 - 1})
    assert writes.decode_conditions(request, IDS) == expected
    request = pb.UpsertRequest(ids=IDS, mode=pb.WRITE_MODE_INSERT)
    assert writes.decode_conditions(request, IDS) == Conditions(WriteMode.INSERT)


@pytest.mark.parametrize("versions", [[1], [1, 2, 3, 4], [1, 2, -2]])
def test_bad_versions_are_refused(versions: list[int]) -> None:
    with pytest.raises(InvalidArgument):
        writes.decode_if_versions(versions, IDS)


def test_a_mode_of_another_version_of_the_protocol_is_refused() -> None:
    request = pb.UpsertRequest.FromString(pb.UpsertRequest().SerializeToString() + bytes([5 << 3, 9]))
    with pytest.raises(InvalidArgument, match="no write mode 9"):
        writes.decode_conditions(request, [])


def test_a_change_is_what_was_sent() -> None:
    request = pb.ChangeMetadataRequest(mode=pb.METADATA_MODE_MERGE, delete_fields=["a", "b.c"])
    assert writes.decode_change(request) == MetadataChange(b"{}", False, (("a",), ("b", "c")))
    request = pb.ChangeMetadataRequest(mode=pb.METADATA_MODE_REPLACE, metadata=b'{"a":1}')
    assert writes.decode_change(request) == MetadataChange(b'{"a":1}', True)


@pytest.mark.parametrize(
    "request_",
    [
        pb.ChangeMetadataRequest(metadata=b"{}"),
        pb.ChangeMetadataRequest(mode=pb.METADATA_MODE_MERGE, delete_fields=["a..b"]),
        pb.ChangeMetadataRequest(mode=pb.METADATA_MODE_MERGE, delete_fields=["a"] * (MAX_CHANGED_FIELDS + 1)),
    ],
)
def test_a_bad_change_is_refused(request_: pb.ChangeMetadataRequest) -> None:
    with pytest.raises(InvalidArgument):
        writes.decode_change(request_)


def test_conflicts_go_into_the_answer() -> None:
    conflict = VersionConflict("no", conflicts=[{"id": "a", "expected": 3, "found": 0}])
    assert writes.encode_conflicts(conflict) == [pb.Conflict(id=IDS[2], expected=3, found=0)]
