"""Mutations: durable on return, one after the other."""

from __future__ import annotations

from typing import Any

from tests.integration.gateway.graphql.client import ask, refusal, send
from tests.integration.gateway.stack import Stack


def test_a_collection_is_made_filled_changed_and_deleted(graph: Stack) -> None:
    data = ask(
        graph,
        """mutation ($points: [PointInput!]!) {
          createCollection(input: {name: "made", dimension: 2, metric: "dot", index: {type: "flat"}}) {
            name state index points
          }
          insertVectors(input: {collection: "made", vectors: $points}) { inserted updated ids versions }
          updateMetadata(input: {collection: "made", ids: [1], merge: {tag: "new"}}) { matched updated ids }
          updateCollection(name: "made", input: {targetRecall: 0.9}) { targetRecall index }
          deleteVectors(input: {collection: "made", ids: ["b", "c"]}) { deleted }
        }""",
        points=[{"id": 1, "vector": [1, 2], "metadata": {"a": None}}, {"id": "b", "vector": [2, 1]}],
    )
    assert data["createCollection"] == {
        "name": "made",
        "state": "ready",
        "index": {"type": "flat"},
        "points": 0,
    }
    written = data["insertVectors"]
    assert (written["inserted"], written["updated"], written["ids"]) == (2, 0, [1, "b"])
    assert all(written["versions"])
    assert data["updateMetadata"] == {"matched": 1, "updated": 1, "ids": [1]}
    assert data["updateCollection"] == {"targetRecall": 0.9, "index": {"type": "flat"}}
    assert data["deleteVectors"] == {"deleted": 1}
    assert ask(graph, '{ getVector(collection: "made", id: 1) { metadata } }')["getVector"]["metadata"] == {
        "a": None,
        "tag": "new",
    }
    query = 'mutation { deleteCollection(name: "made") { name deleted } }'
    assert ask(graph, query)["deleteCollection"] == {"name": "made", "deleted": True}
    assert refusal(graph, '{ collection(name: "made") { uid } }')["code"] == "collection_not_found"


def test_a_change_sees_the_one_before_it_in_its_document(graph: Stack) -> None:
    point = '{collection: "docs", vectors: [{id: "serial", vector: [1, 0, 0]}]}'
    body = send(
        graph,
        f"""mutation {{
          first: insertVectors(input: {point}) {{ inserted updated }}
          bad: deleteVectors(input: {{collection: "docs"}}) {{ deleted }}
          second: insertVectors(input: {point}) {{ inserted updated }}
          last: deleteVectors(input: {{collection: "docs", ids: ["serial"]}}) {{ deleted }}
        }}""",
    )
    assert body["data"] == {
        "first": {"inserted": 1, "updated": 0},
        "bad": None,
        "second": {"inserted": 0, "updated": 1},
        "last": {"deleted": 1},
    }
    (error,) = body["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["bad"], "invalid_argument")


def test_aliases_are_switched_and_told(graph: Stack) -> None:
    switch = """mutation ($to: String) {
      switchAliases(input: {changes: [{alias: "papers", collection: $to}]}) { alias collection }
    }"""
    assert ask(graph, switch, to="docs")["switchAliases"] == [{"alias": "papers", "collection": "docs"}]
    assert ask(graph, '{ aliases { alias } collection(name: "papers") { name aliases } }') == {
        "aliases": [{"alias": "papers"}],
        "collection": {"name": "docs", "aliases": ["papers"]},
    }
    assert ask(graph, switch, to=None)["switchAliases"] == []


def test_texts_are_embedded_as_over_rest(graph: Stack) -> None:
    query = """mutation ($text: JSON!) {
      generateEmbedding(input: {text: $text, model: "hash-384"}) {
        embeddings model dimension truncated job { jobId }
      }
    }"""
    made = ask(graph, query, text=["one", "two"])["generateEmbedding"]
    body = {"text": ["one", "two"], "model": "hash-384"}
    expected: dict[str, Any] = graph.data(graph.post("/api/v1/embeddings/generate", body))
    assert made["embeddings"] == expected["embeddings"]
    assert (made["model"], made["dimension"], made["job"]) == ("hash-384", 384, None)


def test_a_job_is_submitted_told_and_cancelled(graph: Stack) -> None:
    spec = {"kind": "bulk_insert", "collection": "docs", "items": [{"id": 1, "vector": [1, 2, 3]}]}
    query = "mutation ($job: JSON!) { submitJob(job: $job) { jobId state kind progress { total done } } }"
    job = ask(graph, query, job=spec)["submitJob"]
    assert (job["state"], job["kind"], job["progress"]) == ("queued", "bulk_insert", {"total": 1, "done": 0})
    told = ask(
        graph,
        """query ($id: ID!) {
          job(id: $id) { jobId spec }
          jobs(limit: 1, state: "queued") { jobs { jobId } nextCursor }
          queue { jobs tasks { waiting } }
          failedItems(job: $id) { items { number } nextAfter }
        }""",
        id=job["jobId"],
    )
    assert told["job"]["jobId"] == told["jobs"]["jobs"][0]["jobId"] == job["jobId"]
    assert (told["job"]["spec"]["format"], told["failedItems"]["items"]) == ("jsonl", [])
    assert told["queue"]["jobs"]["queued"] == 1
    for name, state in (("pauseJob", "paused"), ("resumeJob", "queued"), ("cancelJob", "cancelled")):
        changed = ask(graph, f"mutation ($id: ID!) {{ {name}(id: $id) {{ state }} }}", id=job["jobId"])
        assert changed[name] == {"state": state}
    refused = refusal(graph, "mutation ($id: ID!) { retryJob(id: $id) { state } }", id=job["jobId"])
    assert refused["code"] == "wrong_job_state"
