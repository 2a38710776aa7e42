"""KeyService: API keys, for administrators."""

from __future__ import annotations

from typing import Any

import orjson

from citadel.vector.v1 import keys_pb2 as pb
from hanax.gateway.calls import Call
from hanax.gateway.grpc.instants import read_instant
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.grpc.readings import read_message
from hanax.gateway.guard.key_desk import KeyDesk, Told
from hanax.gateway.guard.rights import NewKey, RotateKey
from hanax.gateway.list_requests import PageRequest
from hanax.gateway.requests import parse_request


def key_methods(desk: KeyDesk) -> Methods:
    async def create(call: Call, question: pb.CreateKeyRequest) -> pb.CreateKeyResponse:
        told = await desk.create(call, parse_request(NewKey, _new(question)))
        return pb.CreateKeyResponse(key=_key(told), secret=told.key or "")

    async def list_all(call: Call, question: pb.ListKeysRequest) -> pb.ListKeysResponse:
        asked = parse_request(PageRequest, read_message(question))
        page = await desk.page(call, asked.limit, asked.cursor)
        return pb.ListKeysResponse(keys=map(_key, page.keys), next_cursor=page.next_cursor or "")

    async def get(call: Call, question: pb.GetKeyRequest) -> pb.GetKeyResponse:
        return pb.GetKeyResponse(key=_key(await desk.get(call, question.id)))

    async def rotate(call: Call, question: pb.RotateKeyRequest) -> pb.RotateKeyResponse:
        asked = parse_request(RotateKey, read_message(question, without=("id",)))
        told = await desk.rotate(call, question.id, asked)
        return pb.RotateKeyResponse(key=_key(told), secret=told.key or "")

    async def revoke(call: Call, question: pb.RevokeKeyRequest) -> pb.RevokeKeyResponse:
        return pb.RevokeKeyResponse(key=_key(await desk.revoke(call, question.id)))

    return {
        "CreateKey": Unary(pb.CreateKeyRequest, create, changes=True, tells_secret=True),
        "ListKeys": Unary(pb.ListKeysRequest, list_all),
        "GetKey": Unary(pb.GetKeyRequest, get),
        "RotateKey": Unary(pb.RotateKeyRequest, rotate, changes=True, tells_secret=True),
        "RevokeKey": Unary(pb.RevokeKeyRequest, revoke, changes=True),
    }


def _new(question: pb.CreateKeyRequest) -> dict[str, Any]:
    """As over REST."""
    told = {"grants": [], **read_message(question, without=("expires_at_us",))}
    if question.expires_at_us:
        told["expires_at"] = read_instant(question.expires_at_us, "expires_at_us")
    return told


def _key(told: Told) -> pb.Key:
    kept, rights = told.kept, told.rights
    rate = rights.rate
    return pb.Key(
        id=kept.id,
        name=kept.name,
        grants=[pb.KeyGrant(scopes=one.scopes, collections=one.collections) for one in rights.grants],
        filter_json=b"" if rights.filter is None else orjson.dumps(rights.filter),
        rate=None if rate is None else pb.KeyRate(requests_per_s=rate.requests_per_s, burst=rate.burst),
        created_at_us=kept.created_at_us,
        expires_at_us=kept.expires_at_us or 0,
        revoked_at_us=kept.revoked_at_us or 0,
        last_used_at_us=kept.last_used_at_us or 0,
        previous_until_us=kept.previous_until_us or 0,
    )
