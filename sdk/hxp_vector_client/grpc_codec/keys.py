"""API keys."""

from __future__ import annotations

from typing import Any

from hxp_vector_client._stubs import keys_pb2 as pb
from hxp_vector_client.grpc_codec.values import given_json, instant, microseconds, read_json
from hxp_vector_client.requests import Request


def create(request: Request) -> pb.CreateKeyRequest:
    body = request.body or {}
    rate = body.get("rate")
    return pb.CreateKeyRequest(
        name=body["name"],
        grants=[
            pb.KeyGrant(scopes=grant.get("scopes", ()), collections=grant.get("collections", ()))
            for grant in body["grants"]
        ],
        filter_json=given_json(body.get("filter")),
        rate=None if rate is None else pb.KeyRate(**rate),
        expires_at_us=0 if body.get("expires_at") is None else microseconds(body["expires_at"]),
    )


def list_keys(request: Request) -> pb.ListKeysRequest:
    return pb.ListKeysRequest(limit=request.query.get("limit"), cursor=request.query.get("cursor") or "")


def get(request: Request) -> pb.GetKeyRequest:
    return pb.GetKeyRequest(id=request.path["key_id"])


def rotate(request: Request) -> pb.RotateKeyRequest:
    return pb.RotateKeyRequest(id=request.path["key_id"], grace_s=(request.body or {}).get("grace_s"))


def revoke(request: Request) -> pb.RevokeKeyRequest:
    return pb.RevokeKeyRequest(id=request.path["key_id"])


def read_made(answer: pb.CreateKeyResponse | pb.RotateKeyResponse, _: Request) -> dict[str, Any]:
    """With the secret, which is told this once."""
    return {**_key(answer.key), "key": answer.secret}


def read_one(answer: pb.GetKeyResponse | pb.RevokeKeyResponse, _: Request) -> dict[str, Any]:
    return _key(answer.key)


def read_list(answer: pb.ListKeysResponse, _: Request) -> dict[str, Any]:
    return {"keys": [_key(one) for one in answer.keys], "next_cursor": answer.next_cursor or None}


def _key(key: pb.Key) -> dict[str, Any]:
    times = {
        name: instant(at) if (at := getattr(key, f"{name}_us")) else None
        for name in ("created_at", "expires_at", "revoked_at", "last_used_at", "previous_until")
    }
    rate = {"requests_per_s": key.rate.requests_per_s, "burst": key.rate.burst}
    return {
        "id": key.id,
        "name": key.name,
        "grants": [
            {"scopes": list(grant.scopes), "collections": list(grant.collections) or ["*"]}
            for grant in key.grants
        ],
        "filter": read_json(key.filter_json),
        "rate": rate if key.HasField("rate") else None,
        **times,
    }
