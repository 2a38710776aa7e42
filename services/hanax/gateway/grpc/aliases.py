"""Aliases of collections."""

from __future__ import annotations

from citadel.vector.v1 import vector_pb2 as pb
from hanax.gateway.aliases import AliasNames
from hanax.gateway.calls import Call
from hanax.gateway.change_requests import AliasSwitchRequest
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.requests import parse_request


def alias_methods(aliases: AliasNames) -> Methods:
    async def change(call: Call, question: pb.ChangeAliasesRequest) -> pb.ChangeAliasesResponse:
        changes = [
            {"alias": change.alias, "collection": change.collection or None} for change in question.changes
        ]
        switched = await aliases.switch(call, parse_request(AliasSwitchRequest, {"changes": changes}))
        return pb.ChangeAliasesResponse(collection_by_alias=switched)

    async def list_all(call: Call, question: pb.ListAliasesRequest) -> pb.ListAliasesResponse:
        return pb.ListAliasesResponse(collection_by_alias=await aliases.list(call))

    async def get(call: Call, question: pb.GetAliasRequest) -> pb.GetAliasResponse:
        return pb.GetAliasResponse(collection=await aliases.find(call, question.alias))

    return {
        "ChangeAliases": Unary(pb.ChangeAliasesRequest, change, changes=True),
        "ListAliases": Unary(pb.ListAliasesRequest, list_all),
        "GetAlias": Unary(pb.GetAliasRequest, get),
    }
