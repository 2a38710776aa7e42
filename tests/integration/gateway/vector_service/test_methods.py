"""Every method of VectorService, on nodes of a dictionary and on the engine."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from hanax.core.ids import decode_id, encode_id
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import (
    EVERYTHING,
    TIMEOUT_S,
    connected,
    insertion,
    read_all,
    refused,
    vectors_of,
)
from tests.integration.waiting import wait_until

ROWS = [[1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.25, 0.0, 0.75]]


def test_points_come_back_as_they_were_sent(either: Stack, service: VectorServiceStub) -> None:
    either.create("grpc-points", metric="dot")
    ids = [7, "chapter-1", "0d6b3a40-31b5-4a2f-9a04-5d5f3b8b0b11"]
    points = [
        {"id": id_, "vector": row, "metadata": {"row": number}}
        for number, (id_, row) in enumerate(zip(ids, ROWS, strict=True))
    ]
    told = service.InsertVectors(insertion("grpc-points", points), timeout=TIMEOUT_S)
    assert (told.inserted, told.updated, list(told.ids)) == (3, 0, [])
    assert all(told.versions)

    request = pb.ScrollVectorsRequest(collection="grpc-points", page_size=2, fields=EVERYTHING)
    found = read_all(service, request)
    assert found == {id_: ({"row": n}, ROWS[n]) for n, id_ in enumerate(ids)}
    over_rest = either.data(either.post("/api/v1/vectors/get", {"collection": "grpc-points", "ids": ids}))
    assert [point["version"] for point in over_rest["vectors"]] == list(told.versions)
    assert [point["embedding"] for point in over_rest["vectors"]] == ROWS


def test_vectors_may_come_as_numbers(either: Stack, service: VectorServiceStub) -> None:
    either.create("grpc-numbers", metric="dot")
    numbers = pb.Vectors(dimension=3, values=[number for row in ROWS for number in row])
    told = service.InsertVectors(
        pb.InsertVectorsRequest(collection="grpc-numbers", vectors=numbers), timeout=TIMEOUT_S
    )
    request = pb.ScrollVectorsRequest(collection="grpc-numbers", fields=EVERYTHING)
    found = read_all(service, request)
    assert [found[decode_id(id_)][1] for id_ in told.ids] == ROWS
    numbers.float32_le = bytes(36)
    with refused() as errors:
        service.InsertVectors(
            pb.InsertVectorsRequest(collection="grpc-numbers", vectors=numbers), timeout=TIMEOUT_S
        )
    assert errors[0].message == "vectors: expected float32_le or values, got both"


def test_ids_are_made_where_there_are_none(either: Stack, service: VectorServiceStub) -> None:
    either.create("grpc-ids")
    told = service.InsertVectors(insertion("grpc-ids", [{"vector": row} for row in ROWS]), timeout=TIMEOUT_S)
    assert len(set(told.ids)) == 3
    some = insertion("grpc-ids", [{"id": b"", "vector": ROWS[0]}, {"id": 5, "vector": ROWS[1]}])
    told_some = service.InsertVectors(some, timeout=TIMEOUT_S)
    assert decode_id(told_some.ids[1]) == 5
    assert len(set(told.ids) | set(told_some.ids)) == 5


def test_a_mode_leaves_points_alone_and_tells_which(either: Stack, service: VectorServiceStub) -> None:
    either.create("grpc-modes", metric="dot")
    service.InsertVectors(insertion("grpc-modes", [{"id": 1, "vector": ROWS[0]}]), timeout=TIMEOUT_S)
    both = [{"id": 1, "vector": ROWS[1]}, {"id": 2, "vector": ROWS[2]}]

    new = service.InsertVectors(insertion("grpc-modes", both, mode=pb.INSERT_MODE_INSERT), timeout=TIMEOUT_S)
    assert (new.inserted, new.updated, list(new.skipped)) == (1, 0, [0])
    assert (new.versions[0], new.versions[1] > 0) == (0, True)

    both[1]["id"] = 3
    old = service.InsertVectors(insertion("grpc-modes", both, mode=pb.INSERT_MODE_UPDATE), timeout=TIMEOUT_S)
    assert (old.inserted, old.updated, list(old.skipped)) == (0, 1, [1])


def test_versions_are_compared(either: Stack, service: VectorServiceStub) -> None:
    either.create("grpc-versions")
    point = {"id": 1, "vector": ROWS[0], "if_version": 0}
    told = service.InsertVectors(insertion("grpc-versions", [point]), timeout=TIMEOUT_S)
    with refused() as errors:
        service.InsertVectors(insertion("grpc-versions", [point]), timeout=TIMEOUT_S)
    assert errors[0].code == "version_conflict"
    assert errors[0].details["conflicts"] == [{"id": 1, "expected": 0, "found": told.versions[0]}]


def test_texts_are_embedded_beside_vectors(either: Stack, service: VectorServiceStub) -> None:
    either.create("grpc-texts", dimension=384, embedding_model="hash-384")
    given = np.eye(1, 384).tolist()[0]
    points = [
        {"id": 1, "text": "the first"},
        {"id": 2, "vector": given},
        {"id": 3, "text": "the third", "metadata": {"text": "own", "n": 3}},
    ]
    service.InsertVectors(insertion("grpc-texts", points), timeout=TIMEOUT_S)
    made = service.GenerateEmbedding(
        pb.GenerateEmbeddingRequest(
            texts=["the first", "the third"], collection="grpc-texts", purpose=pb.TEXT_PURPOSE_DOCUMENT
        ),
        timeout=TIMEOUT_S,
    )
    assert (made.model, made.vectors.dimension, len(made.tokens)) == ("hash-384", 384, 2)
    embedded = np.frombuffer(made.vectors.float32_le, "<f4").reshape(2, 384)

    request = pb.ScrollVectorsRequest(collection="grpc-texts", fields=EVERYTHING)
    found = read_all(service, request)
    assert [found[n][0] for n in (1, 2, 3)] == [{"text": "the first"}, {}, {"text": "own", "n": 3}]
    assert found[1][1] == embedded[0].tolist()
    assert found[2][1] == given
    assert found[3][1] == embedded[1].tolist()
    (page,) = service.ScrollVectors(request, timeout=TIMEOUT_S)
    provenance = {
        decode_id(id_): raw for id_, raw in zip(page.points.ids, page.points.provenance, strict=True)
    }
    assert (b'"model":"hash-384"' in provenance[1], provenance[2]) == (True, b"")


def test_vectors_are_cut_and_lengths_kept_on_request(either: Stack, service: VectorServiceStub) -> None:
    texts = ["one", "two words"]
    told = service.GenerateEmbedding(
        pb.GenerateEmbeddingRequest(texts=texts, normalize=False, long_texts=pb.LONG_TEXT_RULE_SPLIT),
        timeout=TIMEOUT_S,
    )
    over_rest = either.data(
        either.post("/api/v1/embeddings/generate", {"text": texts, "normalize": False, "long_texts": "split"})
    )
    rows = np.frombuffer(told.vectors.float32_le, "<f4").reshape(2, -1)
    assert rows.tolist() == np.asarray(over_rest["embeddings"], "<f4").tolist()
    assert list(told.tokens) == over_rest["tokens"]


def test_a_collection_has_the_spec_that_was_asked_for(either: Stack, service: VectorServiceStub) -> None:
    spec = pb.CollectionSpec(
        name="grpc-made",
        dimension=8,
        metric=pb.METRIC_EUCLIDEAN,
        shards=2,
        index=pb.Index(hnsw=pb.HnswIndex(m=24)),
        quantisation=pb.Quantisation(int8=pb.ScalarQuantisation()),
        target_recall=0.9,
        payload_indexes={"title": pb.PAYLOAD_INDEX_TEXT, "raw": pb.PAYLOAD_INDEX_NONE},
        ttl_seconds=3_600,
    )
    made = service.CreateCollection(pb.CreateCollectionRequest(spec=spec), timeout=TIMEOUT_S).collection
    assert (made.state, made.points) == (pb.COLLECTION_STATE_READY, 0)
    over_rest = either.data(either.client.get("/api/v1/collections/grpc-made"))
    assert over_rest["index"] == {"type": "hnsw", "m": 24, "ef_construction": 128, "ef_search": None}
    assert (over_rest["metric"], over_rest["quantisation"]) == ("euclidean", {"type": "int8"})
    assert over_rest["payload_indexes"] == {"title": "text", "raw": "none"}
    assert (over_rest["uid"], over_rest["ttl_seconds"]) == (made.uid, 3_600)
    # What was left out has its defaults; the rest is told as it was given.
    filled = pb.CollectionSpec()
    filled.CopyFrom(spec)
    filled.index.hnsw.ef_construction = 128
    assert made.spec == filled
    found = service.GetCollection(pb.GetCollectionRequest(name="grpc-made"), timeout=TIMEOUT_S).collection
    assert found == made


def test_aliases_move_together(either: Stack, service: VectorServiceStub) -> None:
    uids = [either.create(name)["uid"] for name in ("grpc-blue", "grpc-green")]

    def switch(**collection_by_alias: str) -> dict[str, str]:
        changes = [pb.AliasChange(alias=a, collection=c) for a, c in collection_by_alias.items()]
        told = service.ChangeAliases(pb.ChangeAliasesRequest(changes=changes), timeout=TIMEOUT_S)
        return {a: c for a, c in told.collection_by_alias.items() if c.startswith("grpc-")}

    assert switch(live="grpc-blue", next="grpc-green") == {"live": "grpc-blue", "next": "grpc-green"}
    found = service.GetCollection(pb.GetCollectionRequest(name="live"), timeout=TIMEOUT_S).collection
    assert (found.uid, list(found.aliases)) == (uids[0], ["live"])
    assert switch(live="grpc-green", next="") == {"live": "grpc-green"}
    # Who means the one does not get the other.
    request = insertion("live", [{"vector": ROWS[0]}], collection_uid=uids[0])
    with refused() as errors:
        service.InsertVectors(request, timeout=TIMEOUT_S)
    assert errors[0].code == "collection_not_found"


def test_pages_end_where_they_are_told_to(either: Stack, service: VectorServiceStub) -> None:
    either.create("grpc-pages")
    points = [{"id": n, "vector": [1, n, 0], "metadata": {"even": n % 2 == 0}} for n in range(1, 26)]
    either.insert("grpc-pages", points)

    def sizes(**fields: object) -> list[int]:
        request = pb.ScrollVectorsRequest(collection="grpc-pages", **fields)  # type: ignore[arg-type]
        pages = list(service.ScrollVectors(request, timeout=TIMEOUT_S))
        return [len(page.points.ids) for page in pages]

    assert sizes(page_size=10) == [10, 10, 5]
    assert sizes(page_size=10, limit=12) == [10, 2]
    assert sizes() == [25]
    assert sizes(filter_json=b'{"field": "even", "operator": "eq", "value": true}') == [12]
    assert sizes(filter_json=b'{"field": "even", "operator": "eq", "value": 7}') == [0]

    first, *_ = service.ScrollVectors(
        pb.ScrollVectorsRequest(collection="grpc-pages", page_size=10), timeout=TIMEOUT_S
    )
    assert not first.points.metadata
    assert not first.points.HasField("vectors")
    assert sizes(page_size=10, cursor=first.next_cursor) == [10, 5]


def test_a_stream_reads_every_point_that_stays_once_whatever_is_written(
    either: Stack, service: VectorServiceStub
) -> None:
    """Points come and go, are changed, and the alias that the stream began with moves on."""
    either.create("grpc-stream", metric="dot")
    either.create("grpc-other", metric="dot")
    service.ChangeAliases(
        pb.ChangeAliasesRequest(changes=[pb.AliasChange(alias="streamed", collection="grpc-stream")]),
        timeout=TIMEOUT_S,
    )
    stay = list(range(200))
    come = list(range(1_000, 1_200))
    first = [{"id": n, "vector": [1, n, 0], "metadata": {"n": n}} for n in stay]
    service.InsertVectors(insertion("grpc-stream", first), timeout=TIMEOUT_S)
    seen: set[object] = set()
    ended = threading.Event()

    def write(which: int) -> None:
        while not ended.is_set():
            new = [{"id": n, "vector": [n, which, 0], "metadata": {"n": n}} for n in come[which::4]]
            old = [{"id": n, "vector": [2, n, which], "metadata": {"n": n}} for n in stay[which::4]]
            service.InsertVectors(insertion("grpc-stream", new + old), timeout=TIMEOUT_S)
            either.post("/api/v1/vectors/delete", {"collection": "grpc-stream", "ids": come[which::4]})

    with ThreadPoolExecutor(4) as writers:
        running = [writers.submit(write, which) for which in range(4)]
        try:
            request = pb.ScrollVectorsRequest(collection="streamed", page_size=20, fields=EVERYTHING)
            for number, page in enumerate(service.ScrollVectors(request, timeout=TIMEOUT_S)):
                ids = {decode_id(id_) for id_ in page.points.ids}
                assert not ids & seen
                seen |= ids
                if number == 1:
                    changes = [pb.AliasChange(alias="streamed", collection="grpc-other")]
                    service.ChangeAliases(pb.ChangeAliasesRequest(changes=changes), timeout=TIMEOUT_S)
        finally:
            ended.set()
        for one in running:
            one.result()
    assert seen >= set(stay)
    assert seen <= set(stay) | set(come)


def test_batches_at_once_are_each_stored_whole(either: Stack, service: VectorServiceStub) -> None:
    either.create("grpc-batches")
    vectors = vectors_of([[1, n, 0] for n in range(500)])

    def send(batch: int) -> int:
        ids = [encode_id(batch * 500 + n) for n in range(500)]
        request = pb.InsertVectorsRequest(collection="grpc-batches", ids=ids, vectors=vectors)
        return int(service.InsertVectors(request, timeout=TIMEOUT_S).inserted)

    with ThreadPoolExecutor(8) as senders:
        assert list(senders.map(send, range(8))) == [500] * 8
    counted = either.data(either.post("/api/v1/vectors/count", {"collection": "grpc-batches"}))
    assert counted["count"] == 4_000


def test_points_expire(shards: Stack) -> None:
    """By their own time, and not before."""

    shards.create("grpc-expiry")
    now_us = time.time_ns() // 1000
    request = insertion("grpc-expiry", [{"id": n, "vector": ROWS[n]} for n in range(3)])
    request.expires_at_us.extend([0, now_us + 3_600_000_000, now_us + 1_500_000])
    with connected(shards) as service:
        service.InsertVectors(request, timeout=TIMEOUT_S)
        scroll = pb.ScrollVectorsRequest(collection="grpc-expiry", fields=EVERYTHING)
        wait_until("one has expired", lambda: set(read_all(service, scroll)) == {0, 1})
        (page,) = service.ScrollVectors(scroll, timeout=TIMEOUT_S)
    told = dict(zip(map(decode_id, page.points.ids), page.points.expires_at_us, strict=True))
    assert told == {0: 0, 1: now_us + 3_600_000_000}
