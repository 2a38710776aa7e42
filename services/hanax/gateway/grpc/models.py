"""ModelService: how the models are, and texts in the order that one finds."""

from __future__ import annotations

from citadel.vector.v1 import models_pb2 as pb
from hanax.gateway.balancing.endpoints import EndpointState
from hanax.gateway.calls import Call
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.models.registry import Models
from hanax.gateway.models.reranking import Reranking
from hanax.gateway.models.status import ModelStatus, model_status, model_statuses
from hanax.gateway.requests import parse_request
from hanax.gateway.rerank_requests import RerankRequest


def model_methods(models: Models, reranking: Reranking) -> Methods:
    async def list_all(call: Call, question: pb.ListModelStatusesRequest) -> pb.ListModelStatusesResponse:
        return pb.ListModelStatusesResponse(models=map(_status, model_statuses(models)))

    async def get(call: Call, question: pb.GetModelStatusRequest) -> pb.GetModelStatusResponse:
        return pb.GetModelStatusResponse(model=_status(model_status(models, question.model)))

    async def rerank(call: Call, question: pb.RerankDocumentsRequest) -> pb.RerankDocumentsResponse:
        asked = {
            "model": question.model,
            "query": question.query,
            "documents": list(question.documents),
            "top_n": question.top_n or None,
        }
        done = await reranking.rerank(call, parse_request(RerankRequest, asked))
        return pb.RerankDocumentsResponse(
            model=done.model,
            results=[pb.RankedDocument(index=one.index, relevance_score=one.score) for one in done.ranked],
        )

    return {
        "RerankDocuments": Unary(pb.RerankDocumentsRequest, rerank),
        "ListModelStatuses": Unary(pb.ListModelStatusesRequest, list_all),
        "GetModelStatus": Unary(pb.GetModelStatusRequest, get),
    }


def _status(status: ModelStatus) -> pb.ModelStatus:
    route = status.route
    return pb.ModelStatus(
        model=route.name,
        version=route.version or "",
        health=status.health,
        external=route.external,
        protocol=route.protocol,
        pattern=route.pattern,
        dimension=route.dimension,
        max_tokens=route.max_tokens,
        load_balancing=route.load_balancing,
        waiting=status.waiting,
        endpoints=map(_endpoint, status.endpoints),
    )


def _endpoint(state: EndpointState) -> pb.ModelEndpoint:
    failure = state.last_failure
    return pb.ModelEndpoint(
        address=state.address,
        weight=state.weight,
        state=state.state,
        inflight=state.inflight,
        latency_ms=state.latency_ms,
        error_rate=state.error_rate,
        resting_s=state.resting_s,
        last_failure=None
        if failure is None
        else pb.EndpointFailure(code=failure.code, message=failure.message, at_us=round(failure.at * 1e6)),
        checked_at_us=0 if state.checked_at is None else round(state.checked_at * 1e6),
    )
