"""EmbedderService over gRPC: checks a request, lets its texts be embedded or scored, writes the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import grpc

from citadel.vector.v1 import embedder_pb2, embedder_pb2_grpc
from hanax.core.errors import (
    Cancelled,
    InvalidArgument,
    InvalidText,
    ModelConflict,
    TextTooLong,
    Unavailable,
)
from hanax.core.limits import MAX_EMBED_TEXTS, MAX_TEXT_BYTES
from hanax.embedder.backends import NOT_THE_OTHER, Backend, ModelInfo, PairBackend, Purpose, Task
from hanax.embedder.model_store import Caller, ModelStore
from hanax.embedder.readings import LongTexts, Reading, Wish, check_dimensions, read_texts
from hanax.embedder.stored_models import Leased, StoredModel
from hanax.embedder.text_queue import EmbedRequest, TextQueue, Waiting

# The longest that anyone waits, with a deadline or without: the longest embed_timeout_s.
_LONGEST_WAIT_S: Final = 600.0

_PURPOSES: Final = {
    embedder_pb2.PURPOSE_UNSPECIFIED: Purpose.NONE,
    embedder_pb2.PURPOSE_QUERY: Purpose.QUERY,
    embedder_pb2.PURPOSE_DOCUMENT: Purpose.DOCUMENT,
}
_LONG_TEXTS: Final = {
    embedder_pb2.LONG_TEXTS_UNSPECIFIED: LongTexts.TRUNCATE,
    embedder_pb2.LONG_TEXTS_TRUNCATE: LongTexts.TRUNCATE,
    embedder_pb2.LONG_TEXTS_REFUSE: LongTexts.REFUSE,
    embedder_pb2.LONG_TEXTS_SPLIT: LongTexts.SPLIT,
}
_TASKS: Final = {
    Task.EMBED: embedder_pb2.MODEL_TASK_EMBED,
    Task.RERANK: embedder_pb2.MODEL_TASK_RERANK,
}


class EmbedderServicer(embedder_pb2_grpc.EmbedderServiceServicer):
    """Answers Unavailable until `serve` says that what shall be there from the start is loaded."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._ready = False

    @property
    def is_ready(self) -> bool:
        return self._ready

    def serve(self) -> None:
        self._ready = True

    def Embed(
        self, request: embedder_pb2.EmbedRequest, context: grpc.ServicerContext
    ) -> embedder_pb2.EmbedResponse:
        self._check_ready()
        # The queues' and the store's clock.
        deadline = time.monotonic() + min(context.time_remaining(), _LONGEST_WAIT_S)
        self._check_model(request.model, Task.EMBED)
        check_texts(request.texts)
        with self._store.lease(request.model, Caller(deadline, context.add_callback)) as model:
            _check_task(model.info, Task.EMBED)
            wish = wish_of(request, model)
            return _embed(request, wish, model, Waiting(deadline, request.urgent), context)

    def Rerank(
        self, request: embedder_pb2.RerankRequest, context: grpc.ServicerContext
    ) -> embedder_pb2.RerankResponse:
        self._check_ready()
        deadline = time.monotonic() + min(context.time_remaining(), _LONGEST_WAIT_S)
        self._check_model(request.model, Task.RERANK)
        check_text(request.query, "the query")
        check_texts(request.texts)
        with self._store.lease(request.model, Caller(deadline, context.add_callback)) as model:
            _check_task(model.info, Task.RERANK)
            return _rerank(request, model, Waiting(deadline, request.urgent), context)

    def ListModels(
        self, request: embedder_pb2.ListModelsRequest, context: grpc.ServicerContext
    ) -> embedder_pb2.ListModelsResponse:
        self._check_ready()
        models = [_listed(model) for model in self._store.models()]
        return embedder_pb2.ListModelsResponse(models=models)

    def _check_ready(self) -> None:
        if not self._ready:
            raise Unavailable("the model is being loaded")

    def _check_model(self, name: str, task: Task) -> None:
        """Before it is loaded, as far as its files tell what it is. Raises ModelNotFound, ModelConflict."""
        info = self._store.find(name).info
        if info is not None:
            _check_task(info, task)


def check_texts(texts: Sequence[str]) -> None:
    """Raises InvalidArgument for their number, InvalidText and TextTooLong for one of them."""
    if not 1 <= len(texts) <= MAX_EMBED_TEXTS:
        raise InvalidArgument(
            f"expected 1 to {MAX_EMBED_TEXTS} texts in a request, got {len(texts)}",
            limit=MAX_EMBED_TEXTS,
        )
    for at, text in enumerate(texts):
        check_text(text, f"text {at}", index=at)


def check_text(text: str, name: str, **details: int) -> None:
    """Raises InvalidText, TextTooLong."""
    if not text.strip():
        raise InvalidText(f"{name} is empty: expected at least one character that is not a space", **details)
    size = len(text.encode())
    if size > MAX_TEXT_BYTES:
        raise TextTooLong(
            f"{name} has {size} bytes in UTF-8: expected at most {MAX_TEXT_BYTES}",
            **details,
            limit=MAX_TEXT_BYTES,
        )


def wish_of(request: embedder_pb2.EmbedRequest, model: Leased) -> Wish:
    """Raises InvalidArgument for a purpose, a treatment or dimensions that there are not."""
    purpose, long_texts = _PURPOSES.get(request.purpose), _LONG_TEXTS.get(request.long_texts)
    if purpose is None:
        raise InvalidArgument(
            f"there is no purpose {request.purpose}: expected one of {sorted(_PURPOSES)}", field="purpose"
        )
    if long_texts is None:
        raise InvalidArgument(
            f"there is no treatment {request.long_texts} of long texts: "
            f"expected one of {sorted(_LONG_TEXTS)}",
            field="long_texts",
        )
    return Wish(purpose, long_texts, request.normalize, check_dimensions(model.info, request.dimensions))


def _embed(
    request: embedder_pb2.EmbedRequest,
    wish: Wish,
    model: Leased,
    waits: Waiting,
    context: grpc.ServicerContext,
) -> embedder_pb2.EmbedResponse:
    queue, texts, backend = model.queue, request.texts, model.backend
    assert isinstance(backend, Backend)

    def read() -> Reading:
        return read_texts(backend, texts, wish, queue.limits.texts)

    submitted = _submit(queue, len(texts), read, waits, context)
    reading = submitted.reading
    vectors = reading.vectors(queue.wait(submitted), wish)
    split = reading.split
    if split:
        queue.metrics.split(len(split))
    return embedder_pb2.EmbedResponse(
        model=model.info.name,
        dimension=vectors.shape[1],
        float32_le=vectors.astype("<f4", copy=False).tobytes(),
        tokens=reading.tokens,
        truncated=reading.truncated,
        split=split,
        version=model.info.version,
    )


def _rerank(
    request: embedder_pb2.RerankRequest, model: Leased, waits: Waiting, context: grpc.ServicerContext
) -> embedder_pb2.RerankResponse:
    queue, texts, backend = model.queue, request.texts, model.backend
    assert isinstance(backend, PairBackend)

    def read() -> Reading:
        return Reading([[row] for row in backend.pair(request.query, texts)])

    submitted = _submit(queue, len(texts), read, waits, context)
    scores = queue.wait(submitted)
    reading = submitted.reading
    return embedder_pb2.RerankResponse(
        model=model.info.name,
        scores=scores[:, 0].tolist(),
        tokens=reading.tokens,
        truncated=reading.truncated,
        version=model.info.version,
    )


def _submit(
    queue: TextQueue,
    texts: int,
    read: Callable[[], Reading],
    waits: Waiting,
    context: grpc.ServicerContext,
) -> EmbedRequest:
    """Raises Cancelled where the call has ended; when it ends later, the request is abandoned."""
    submitted = queue.submit(texts, read, waits)
    # Called when the call ends in whatever way, and not at all when it has ended already.
    if not context.add_callback(lambda: queue.abandon(submitted)):
        queue.abandon(submitted)
        raise Cancelled("the caller went away")
    return submitted


def _check_task(info: ModelInfo, task: Task) -> None:
    """Raises ModelConflict for a model that does something else."""
    if info.task is not task:
        raise ModelConflict(f"{info.name} {NOT_THE_OTHER[info.task]}", model=info.name)


def _listed(model: StoredModel) -> embedder_pb2.ServedModel:
    leased, info = model.leased, model.info
    if info is None:
        # Never loaded yet: what it is like is told by its files when they are read.
        return embedder_pb2.ServedModel(name=model.name, loaded=False)
    return embedder_pb2.ServedModel(
        name=model.name,
        dimension=info.dimension if info.task is Task.EMBED else 0,
        max_tokens=info.max_tokens,
        backend=info.backend,
        semantic=info.semantic,
        version=info.version,
        loaded=leased is not None,
        dimensions=info.dimensions,
        memory_bytes=model.memory_bytes if leased is not None else 0,
        task=_TASKS[info.task],
    )
