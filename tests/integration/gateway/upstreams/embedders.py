"""A gRPC embedder that answers as it is told, for what a real one does not do by itself."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import grpc

from citadel.vector.v1 import embedder_pb2 as pb
from citadel.vector.v1.embedder_pb2_grpc import (
    EmbedderServiceServicer,
    add_EmbedderServiceServicer_to_server,
)
from hanax.core.errors import Unavailable
from hanax.core.model_routes import ModelRoute
from hanax.rpc.servers import RpcServer
from tests.integration.gateway.upstreams.replies import vector_of

Answer = Callable[[pb.EmbedRequest], pb.EmbedResponse]
Scores = Callable[[pb.RerankRequest], Sequence[float]]


def well(request: pb.EmbedRequest, dimension: int = 8) -> pb.EmbedResponse:
    return pb.EmbedResponse(
        model=request.model,
        dimension=dimension,
        float32_le=b"".join(vector_of(text, dimension).astype("<f4").tobytes() for text in request.texts),
        tokens=[len(text.split()) for text in request.texts],
    )


def lengths(request: pb.RerankRequest) -> Sequence[float]:
    """How well texts fit any query."""
    return [float(len(text)) for text in request.texts]


class ToldEmbedder(EmbedderServiceServicer):
    """`answer` and `scores` may raise what an embedder raises.

    models: what it says that it serves, when it is ready.
    """

    def __init__(self, address: str, server: RpcServer) -> None:
        self.address = address
        self.answer: Answer = well
        self.scores: Scores = lengths
        self.requests: list[pb.EmbedRequest] = []
        self.reranked: list[pb.RerankRequest] = []
        # Of each of these.
        self.patience_s: list[float] = []
        self.ready = True
        self.models = [
            pb.ServedModel(
                name="told", dimension=8, max_tokens=512, backend="told", version="v1", loaded=True
            )
        ]
        self._server = server
        self._end = threading.Event()

    def Embed(self, request: pb.EmbedRequest, context: grpc.ServicerContext) -> pb.EmbedResponse:
        self.requests.append(request)
        return self.answer(request)

    def Rerank(self, request: pb.RerankRequest, context: grpc.ServicerContext) -> pb.RerankResponse:
        self.reranked.append(request)
        self.patience_s.append(context.time_remaining())
        return pb.RerankResponse(model=request.model, scores=self.scores(request))

    def ListModels(
        self, request: pb.ListModelsRequest, context: grpc.ServicerContext
    ) -> pb.ListModelsResponse:
        if not self.ready:
            raise Unavailable("the model is being loaded")
        return pb.ListModelsResponse(models=self.models)

    def wait_for_end(self) -> None:
        """For an answer that never comes."""
        self._end.wait()

    def stop(self) -> None:
        self._end.set()
        self._server.drain(0)

    def route(self) -> ModelRoute:
        return ModelRoute(name="told", dimension=8, max_tokens=512, endpoints=(self.address,))


@contextlib.contextmanager
def running_embedder() -> Iterator[ToldEmbedder]:
    server = RpcServer("127.0.0.1:0", 4, time.monotonic)
    embedder = ToldEmbedder(f"127.0.0.1:{server.port}", server)
    add_EmbedderServiceServicer_to_server(embedder, server.registry)
    server.start()
    server.set_ready(True)
    try:
        yield embedder
    finally:
        embedder.stop()
