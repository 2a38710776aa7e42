"""InsertVectors and StreamVectors: batches of points as columns."""

from __future__ import annotations

from typing import cast

from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.errors import HanaxError
from hanax.gateway.calls import Call
from hanax.gateway.columns import Columns, ColumnsRequest
from hanax.gateway.grpc.failures import write_failure
from hanax.gateway.grpc.methods import Conversation, Methods, Unary
from hanax.gateway.grpc.vectors import read_rows
from hanax.gateway.grpc.words import INSERT_MODE, LONG_TEXTS
from hanax.gateway.insert_streams import InsertStreams, patiently
from hanax.gateway.inserted import Inserted
from hanax.gateway.points import Points
from hanax.gateway.requests import WriteMode


def insert_methods(points: Points, streams: InsertStreams) -> Methods:
    async def insert(call: Call, question: pb.InsertVectorsRequest) -> pb.InsertVectorsResponse:
        were_given = len(question.ids) > 0 and all(question.ids)
        return _told(await points.insert_columns(call, _insertion(question)), were_given)

    async def stored(call: Call, number: int, question: pb.StreamVectorsRequest) -> pb.StreamVectorsResponse:
        # Who sends is held up meanwhile, as by REST's streams.
        told = await patiently(lambda: insert(call, question.insert))
        return pb.StreamVectorsResponse(number=number, stored=told)

    return {
        "InsertVectors": Unary(pb.InsertVectorsRequest, insert, changes=True),
        "StreamVectors": Conversation(pb.StreamVectorsRequest, stored, _refused, streams.place),
    }


def _refused(number: int, error: HanaxError) -> pb.StreamVectorsResponse:
    return pb.StreamVectorsResponse(number=number, failure=write_failure(error))


def _insertion(question: pb.InsertVectorsRequest) -> ColumnsRequest:
    return ColumnsRequest(
        collection=question.collection,
        columns=Columns(
            ids=list(question.ids),
            dimension=question.vectors.dimension,
            float32_le=read_rows(question.vectors, "vectors"),
            texts=question.texts,
            metadata=question.metadata,
            if_versions=question.if_versions,
            expires_at_us=question.expires_at_us,
        ),
        uid=question.collection_uid,
        mode=cast("WriteMode", INSERT_MODE.read(question.mode, "mode")),
        long_texts=cast("str", LONG_TEXTS.read(question.long_texts, "long_texts")),
        urgent=question.urgent,
    )


def _told(done: Inserted, were_given: bool) -> pb.InsertVectorsResponse:
    return pb.InsertVectorsResponse(
        inserted=done.inserted,
        updated=done.updated,
        ids=() if were_given else done.encoded_ids,
        versions=[version or 0 for version in done.versions],
        skipped=done.skipped_rows,
        truncated=done.texts.truncated,
        split=done.texts.split,
    )
