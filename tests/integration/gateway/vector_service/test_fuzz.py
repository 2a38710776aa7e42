"""Whatever is sent, a call ends, and never with a defect of ours: seeded random messages to every method."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from hanax.core.model_routes import ModelRoute
from tests.grpc_services import METHODS
from tests.integration.gateway.stack import running_shards
from tests.integration.gateway.vector_service.client import TIMEOUT_S, channel_to

OURS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}

MESSAGES = 25
# Deep enough for all that messages hold.
DEPTH = 4

WORDS = [
    "",
    "kept",
    "nope",
    "No Name",
    "a..b",
    "\x00",
    "x" * 300,
    "é" * 70,
    "1f9c3a40-31b5-4a2f-9a04-5d5f3b8b0b11",
]
RAWS = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\x01" + bytes(8),
    b"\x03x",
    bytes(12),
    b"\x00\x00\x80\x7f" * 3,
    b"{}",
    b"[]",
    b"null",
    b"NaN",
    b"1e400",
    b'{"field": "n", "operator": "gte", "value": 1}',
    b'{"and": [{"not": {"has_id": [1]}}]}',
    b'{"type": "mmr"}',
    b'{"id": 1, "vector": [1, 2, 3]}',
    b"[" * 200,
    b'{"a": ' * 40 + b"1" + b"}" * 40,
    b'"\\ud800"',
]


def _value(rng: random.Random, field: FieldDescriptor, depth: int) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return rng.choice(RAWS) if field.type == FieldDescriptor.TYPE_BYTES else rng.choice(WORDS)
        case FieldDescriptor.CPPTYPE_BOOL:
            return rng.random() < 0.5
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return rng.choice([0.0, -1.0, 0.5, 1e30, float("nan"), float("inf")])
        case FieldDescriptor.CPPTYPE_ENUM:
            return rng.choice([0, 1, 2, 3, 77])
        case FieldDescriptor.CPPTYPE_UINT32:
            return rng.choice([0, 1, 3, 1_000, 2**32 - 1])
        case FieldDescriptor.CPPTYPE_UINT64:
            return rng.choice([0, 1, 2**63, 2**64 - 1])
        case FieldDescriptor.CPPTYPE_INT32:
            return rng.choice([0, 1, -1, 2**31 - 1])
        case FieldDescriptor.CPPTYPE_INT64:
            return rng.choice([0, 1, -1, 2**63 - 1, -(2**63)])
        case _:
            assert field.message_type is not None
            return _message(rng, field.message_type, depth - 1)


def _message(rng: random.Random, kind: Descriptor, depth: int) -> Message:
    message = GetMessageClass(kind)()
    for field in kind.fields:
        if rng.random() < 0.4 or (field.message_type is not None and depth == 0):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields
            if value.message_type is None:
                getattr(message, field.name)[_value(rng, key, depth)] = _value(rng, value, depth)
        elif field.is_repeated:
            getattr(message, field.name).extend(
                _value(rng, field, depth) for _ in range(rng.choice([0, 1, 3]))
            )
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(_value(rng, field, depth))
        else:
            setattr(message, field.name, _value(rng, field, depth))
    return message


def _name_what_is_there(message: Message) -> Message:
    """Most of what is wrong is looked at behind a collection that is there."""
    for name in ("collection", "name"):
        if name in message.DESCRIPTOR.fields_by_name:
            setattr(message, name, "kept")
    return message


def _questions(seed: str, kind: Descriptor) -> Iterator[bytes]:
    rng = random.Random(seed)
    for number in range(MESSAGES):
        message = _message(rng, kind, DEPTH)
        raw = (_name_what_is_there(message) if number % 2 else message).SerializeToString()
        yield raw
        # As a broken client would send it.
        yield raw[: rng.randrange(len(raw) + 1)] + rng.randbytes(rng.choice([0, 1, 5]))


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[grpc.Channel]:
    """To a gateway whose collections nobody else stands on."""
    folder = tmp_path_factory.mktemp("fuzzed")
    settings = {
        "database_url": f"sqlite:///{folder / 'metadata.db'}",
        "database_timeout_s": 30,
        "jobs_dir": folder / "uploads",
    }
    with running_shards(folder, (hash_model,), **settings) as stack, channel_to(stack) as channel:
        stack.create("kept")
        yield channel


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_whatever_is_sent(fuzzed: grpc.Channel, method: MethodDescriptor) -> None:
    path = f"/{method.containing_service.full_name}/{method.name}"
    questions = list(_questions(method.name, method.input_type))
    call: Any = fuzzed.stream_stream(path)
    for question in questions:
        sent = [question, question] if method.client_streaming else [question]
        answers = call(iter(sent), timeout=TIMEOUT_S)
        try:
            for _ in zip(range(5), answers, strict=False):
                pass
        except grpc.RpcError:
            assert answers.code() not in OURS, (answers.code(), answers.details(), question)
            assert answers.code() is not grpc.StatusCode.DEADLINE_EXCEEDED, question
        answers.cancel()
