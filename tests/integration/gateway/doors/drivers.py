"""The three doors of one gateway: the same request through each, and the error that it tells."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import grpc
import httpx
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from citadel.vector.v1 import jobs_pb2, keys_pb2, libraries_pb2, platform_pb2, vector_pb2
from hanax.core.errors import HanaxError
from hanax.rpc.errors import STATUS_BY_CODE, error_from_call
from tests.integration.gateway.doors.messages import fill
from tests.integration.gateway.doors.operations import OPERATIONS
from tests.integration.gateway.vector_service.client import TIMEOUT_S

_SERVICES: Final = {
    name: service
    for file in (vector_pb2, jobs_pb2, libraries_pb2, keys_pb2, platform_pb2)
    for name, service in file.DESCRIPTOR.services_by_name.items()
}
_ARGUMENT: Final = re.compile(r"(\w+): ([\w\[\]!]+)")
# Fields of inputs whose objects have inputs of their own.
_INPUTS: Final = {"vectors", "queries", "mmr", "changes", "chunks"}


@dataclass(frozen=True)
class Asked:
    """operation: of OPERATIONS. body: as REST takes it. where: what stands beside it: parameters of the path
    and of the query, and `if_revision`. sent: headers, and metadata of the call.
    """

    operation: str
    body: Any = None
    where: Mapping[str, Any] = field(default_factory=dict)
    sent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """What a program learns of a mistake. after: whether it is told when to come again."""

    code: str
    message: str
    details: Mapping[str, Any]
    after: bool


class Door(Protocol):
    def ask(self, asked: Asked) -> Told | None:
        """The error; None: there was none."""
        ...


class Rest:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def ask(self, asked: Asked) -> Told | None:
        method, path = OPERATIONS[asked.operation].rest.split(" ")
        left = dict(asked.where)
        for name in re.findall(r"{(\w+)}", path):
            path = path.replace(f"{{{name}}}", str(left.pop(name)))
        headers = dict(asked.sent)
        if (revision := left.pop("if_revision", None)) is not None:
            headers["If-Match"] = f'"{revision}"'
        content = None if asked.body is None else _json(asked.body)
        answer = self._client.request(method, path, params=left, content=content, headers=headers)
        if answer.is_success:
            return None
        error = answer.json()["error"]
        assert answer.status_code == STATUS_BY_CODE[error["code"]].http
        return Told(error["code"], error["message"], error["details"] or {}, "Retry-After" in answer.headers)


class Grpc:
    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def ask(self, asked: Asked) -> Told | None:
        service, name = OPERATIONS[asked.operation].grpc.split("/")
        method = _SERVICES[service].methods_by_name[name]
        body = asked.body if isinstance(asked.body, dict) else {}
        question = fill(GetMessageClass(method.input_type)(), {**asked.where, **body})
        call: Any = self._channel.unary_stream(f"/{_SERVICES[service].full_name}/{name}")
        metadata = tuple((key.lower(), value) for key, value in asked.sent.items())
        answers = call(question.SerializeToString(), metadata=metadata, timeout=TIMEOUT_S)
        try:
            for _ in answers:
                pass
        except grpc.RpcError as failure:
            return _told(failure, answers)
        return None


def _told(failure: grpc.RpcError, answers: Any) -> Told:
    error: HanaxError = error_from_call(failure)
    assert answers.code() is STATUS_BY_CODE[error.code].grpc
    status = rpc_status.from_call(answers)
    again = any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)
    return Told(error.code, error.message, error.details, again)


class Graphql:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def ask(self, asked: Asked) -> Told | None:
        kind, selection = OPERATIONS[asked.operation].graphql.split(" ", 1)
        arguments = dict(_ARGUMENT.findall(selection))
        used = _ARGUMENT.sub(r"\1: $\1", selection)
        declared = ", ".join(f"${name}: {type_}" for name, type_ in arguments.items())
        head = f"{kind} ({declared})" if declared else kind
        body = {"query": f"{head} {{ {used} }}", "variables": _variables(asked, arguments)}
        headers = {"Content-Type": "application/json", **asked.sent}
        answer = self._client.post("/graphql", content=_json(body), headers=headers)
        errors = answer.json().get("errors", ())
        if not errors:
            return None
        told = errors[0]["extensions"]
        assert told["http_status"] == STATUS_BY_CODE[told["code"]].http
        return Told(told["code"], errors[0]["message"], told["details"], "retry_after_s" in told)


def _variables(asked: Asked, arguments: Mapping[str, str]) -> dict[str, Any]:
    told = {_camel(name): value for name, value in asked.where.items()}
    if "input" in arguments:
        told["input"] = _camel_fields(asked.body)
    elif "job" in arguments:
        told["job"] = asked.body
    elif asked.body is not None:
        told |= asked.body
    return told


def _camel_fields(body: Any) -> Any:
    """Names of request fields; what is inside JSON stays."""
    if isinstance(body, list):
        return [_camel_fields(one) for one in body]
    if not isinstance(body, dict):
        return body
    told = {_camel(name): _camel_fields(value) if name in _INPUTS else value for name, value in body.items()}
    included = told.pop("includeMetadata", None)
    return told if included is None else {**told, "metadataFields": included}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


def _json(body: Any) -> bytes:
    """With NaN and Infinity, which some clients do send: httpx's own JSON refuses them."""
    return json.dumps(body).encode()
