"""Every protocol with a server that is well: the right vectors, in order, and what is told of them."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from citadel.vector.v1 import embedder_pb2 as pb
from hanax.core.errors import TextTooLong
from hanax.core.limits import MAX_EMBED_TEXTS
from hanax.core.model_routes import ModelProtocol, ModelRoute, Prompts
from hanax.core.routing import RoutingTable
from hanax.gateway.models.protocols.registry import Protocols
from hanax.gateway.models.wanted import LongTexts, Made, Purpose, Wanted
from tests.integration.gateway.upstreams import behaviours
from tests.integration.gateway.upstreams.asking import at
from tests.integration.gateway.upstreams.conftest import WITHIN_S, Authority
from tests.integration.gateway.upstreams.embedders import running_embedder
from tests.integration.gateway.upstreams.replies import Embeddings, cut_to, vector_of
from tests.integration.gateway.upstreams.servers import UpstreamServer, route_to, running_upstream
from tests.integration.waiting import wait_until

HTTP: tuple[ModelProtocol, ...] = ("openai", "tei", "cohere", "ollama")
TEXTS = ["one", "two words", "three more words", 'ünïcödé \u2028 "quoted" \\ 日本']

over_http = pytest.mark.parametrize("protocol", HTTP)


async def embed(
    protocols: Protocols, model: ModelRoute, texts: list[str], wanted: Wanted | None = None
) -> Made:
    client = protocols.of(model.protocol)
    return await client.embed(at(model.addresses[0]), model, texts, wanted or Wanted())


def expect(made: Made, texts: list[str], dimension: int = 8) -> None:
    expected = np.stack([vector_of(text, dimension) for text in texts])
    assert made.vectors.dtype == np.float32
    np.testing.assert_allclose(made.vectors, expected, atol=1e-6)


@over_http
async def test_vectors_come_in_the_order_of_the_texts(
    protocols: Protocols, server: UpstreamServer, protocol: ModelProtocol
) -> None:
    made = await embed(protocols, route_to(server, protocol=protocol), TEXTS)
    expect(made, TEXTS)
    assert made.total_tokens == sum(len(text.split()) for text in TEXTS)
    assert made.truncated == made.split == []
    assert server.requests[0].texts == TEXTS


REQUESTS: dict[ModelProtocol, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/embeddings", {"model": "there", "encoding_format": "base64", "dimensions": 4}),
    "tei": ("/embed", {"normalize": True, "truncate": False, "dimensions": 4}),
    "cohere": (
        "/v2/embed",
        {
            "model": "there",
            "input_type": "search_query",
            "embedding_types": ["float"],
            "truncate": "NONE",
            "output_dimension": 4,
        },
    ),
    "ollama": ("/api/embed", {"model": "there", "truncate": False, "dimensions": 4}),
}


@over_http
async def test_requests_are_as_the_protocols_references_say(
    protocols: Protocols, server: UpstreamServer, protocol: ModelProtocol
) -> None:
    model = route_to(
        server,
        protocol=protocol,
        upstream_model="there",
        prompts=Prompts(query="query: ", document="passage: "),
        headers=(("X-Team", "search"),),
    )
    made = await embed(protocols, model, ["a", "b"], Wanted(purpose=Purpose.QUERY, dimensions=4))
    request = server.requests[0]
    path, body = REQUESTS[protocol]
    assert request.path == path
    assert {**request.json} == {**body, _texts_of(protocol): ["query: a", "query: b"]}
    assert request.headers["x-team"] == "search"
    assert "authorization" not in request.headers
    np.testing.assert_allclose(made.vectors[0], cut_to(vector_of("query: a", 8), 4), atol=1e-6)


def _texts_of(protocol: ModelProtocol) -> str:
    return {"openai": "input", "tei": "inputs", "cohere": "texts", "ollama": "input"}[protocol]


async def test_each_purpose_has_its_prompt_and_none_has_none(
    protocols: Protocols, server: UpstreamServer
) -> None:
    model = route_to(server, protocol="tei", prompts=Prompts(query="q: ", document="d: "))
    for purpose in (Purpose.QUERY, Purpose.DOCUMENT, Purpose.NONE):
        await embed(protocols, model, ["text"], Wanted(purpose=purpose))
    assert [request.texts for request in server.requests] == [["q: text"], ["d: text"], ["text"]]


async def test_cohere_is_told_what_texts_are_for(protocols: Protocols, server: UpstreamServer) -> None:
    model = route_to(server, protocol="cohere")
    for purpose in (Purpose.QUERY, Purpose.DOCUMENT, Purpose.NONE):
        await embed(protocols, model, ["text"], Wanted(purpose=purpose))
    kinds = [request.json["input_type"] for request in server.requests]
    assert kinds == ["search_query", "search_document", "search_document"]


async def test_openai_rows_are_put_in_the_order_of_their_indexes(
    protocols: Protocols, server: UpstreamServer
) -> None:
    server.behave(behaviours.out_of_order)
    expect(await embed(protocols, route_to(server), TEXTS), TEXTS)


async def test_a_server_that_refuses_base64_is_asked_for_numbers_from_then_on(protocols: Protocols) -> None:
    with running_upstream(Embeddings(base64=False)) as server:
        model = route_to(server)
        expect(await embed(protocols, model, TEXTS), TEXTS)
        expect(await embed(protocols, model, TEXTS), TEXTS)
    assert [request.json["encoding_format"] for request in server.requests] == ["base64", "float", "float"]


@over_http
@pytest.mark.parametrize("normalize", [True, False])
async def test_vectors_are_normalised_when_that_is_wanted_and_only_then(
    protocols: Protocols, protocol: ModelProtocol, normalize: bool
) -> None:
    with running_upstream(Embeddings(length=3.0)) as server:
        made = await embed(protocols, route_to(server, protocol=protocol), TEXTS, Wanted(normalize=normalize))
    np.testing.assert_allclose(np.linalg.norm(made.vectors, axis=1), 1 if normalize else 3, rtol=1e-5)


async def test_tls_brings_http2_and_requests_share_one_connection(
    protocols: Protocols, authority: Authority
) -> None:
    with running_upstream(tls=authority.server("127.0.0.1")) as server:
        server.behave(behaviours.slow(0.05))
        model = route_to(server)
        await embed(protocols, model, ["first"])
        texts = [f"text {number}" for number in range(30)]
        made = await asyncio.gather(*(embed(protocols, model, [text]) for text in texts))
        for text, one in zip(texts, made, strict=True):
            expect(one, [text])
        assert all(request.http2 for request in server.requests)
        # More than there are connections.
        assert server.at_once > 8


async def test_without_tls_connections_are_bounded_and_used_again(
    protocols: Protocols, server: UpstreamServer
) -> None:
    server.behave(behaviours.slow(0.02))
    model = route_to(server)
    await asyncio.gather(*(embed(protocols, model, [str(number)]) for number in range(40)))
    assert server.served == 40
    # One more than may be asked at once, for a probe.
    assert server.at_once <= 9
    assert not any(request.http2 for request in server.requests)


async def test_a_url_with_a_query_or_with_the_whole_path_is_kept(
    protocols: Protocols, server: UpstreamServer
) -> None:
    for base in ("/deployments/large?api-version=2", "/v1/embeddings", "/v1/"):
        model = route_to(server, endpoints=(server.url + base,))
        expect(await embed(protocols, model, TEXTS), TEXTS)
    paths = [request.path for request in server.requests]
    assert paths == ["/deployments/large/embeddings?api-version=2", "/v1/embeddings", "/v1/embeddings"]


async def test_an_address_that_left_the_table_ends_its_requests_first(
    protocols: Protocols, server: UpstreamServer
) -> None:
    server.behave(behaviours.slow(0.2))
    model = route_to(server)
    running = asyncio.create_task(embed(protocols, model, TEXTS))
    await asyncio.to_thread(wait_until, "the request", lambda: server.served)
    protocols.follow(RoutingTable(revision=1))
    expect(await running, TEXTS)
    # And it may come back.
    protocols.follow(RoutingTable(revision=2, models=(model,)))
    expect(await embed(protocols, model, TEXTS), TEXTS)


async def test_an_embedder_is_told_all_that_is_wanted_and_its_answer_is_passed_on(
    protocols: Protocols,
) -> None:
    with running_embedder() as embedder:
        made = await embed(protocols, embedder.route(), TEXTS)
        expect(made, TEXTS)
        assert made.tokens == [len(text.split()) for text in TEXTS]
        assert made.total_tokens == sum(made.tokens)
        embedder.answer = lambda request: pb.EmbedResponse(
            dimension=4, float32_le=bytes(4 * 4 * len(request.texts)), truncated=[1], split=[2]
        )
        wanted = Wanted(Purpose.QUERY, False, 4, LongTexts.SPLIT, urgent=True)
        made = await embed(protocols, embedder.route(), TEXTS, wanted)
        assert (made.vectors.shape, made.tokens, made.truncated, made.split) == ((4, 4), None, [1], [2])
        assert embedder.requests[-1] == pb.EmbedRequest(
            model="told",
            texts=TEXTS,
            purpose=pb.PURPOSE_QUERY,
            dimensions=4,
            long_texts=pb.LONG_TEXTS_SPLIT,
            urgent=True,
        )


def test_requests_are_as_large_as_the_protocols_servers_take(protocols: Protocols) -> None:
    most = {name: protocols.of(name).max_texts for name in ("grpc", *HTTP)}
    assert most == {"grpc": MAX_EMBED_TEXTS, "openai": 2_048, "tei": 32, "cohere": 96, "ollama": 128}


# --- texts that are longer than the model reads ------------------------------------------------------

LONG = " ".join(f"word{number}" for number in range(40))


@pytest.fixture
def short() -> Any:
    """A server whose model reads ten words."""
    with running_upstream(Embeddings(max_tokens=10, max_texts=4)) as server:
        yield server


@over_http
async def test_what_is_cut_off_is_told(
    protocols: Protocols, short: UpstreamServer, protocol: ModelProtocol
) -> None:
    texts = ["a", LONG, "b", "c d", LONG + " end", "e"]
    made = await embed(protocols, route_to(short, protocol=protocol, max_batch_texts=4), texts[:4])
    assert made.truncated == [1]
    assert made.split == []
    expect(Made(made.vectors[[0, 2, 3]]), ["a", "b", "c d"])
    if protocol != "openai":
        # The server cuts exactly; where it can't, the gateway cuts as near as it knows.
        expect(Made(made.vectors[1:2]), [" ".join(LONG.split()[:10])])
    # Texts that were taken are computed once.
    taken = [text for request in short.requests if _was_taken(request, short) for text in request.texts]
    assert sorted(taken)[:3] == ["a", "b", "c d"]
    assert len(taken) == 4


def _was_taken(request: Any, server: UpstreamServer) -> bool:
    return server.answers.reply(request).status == 200


@over_http
async def test_long_texts_are_refused_by_their_indexes_when_that_is_wanted(
    protocols: Protocols, short: UpstreamServer, protocol: ModelProtocol
) -> None:
    texts = ["a", LONG, "b", LONG + " end", "c"]
    with pytest.raises(TextTooLong) as refused:
        await embed(protocols, route_to(short, protocol=protocol), texts, Wanted(long_texts=LongTexts.REFUSE))
    assert refused.value.details["indexes"] == [1, 3]
    assert "text[1], text[3]" in refused.value.message
    taken = [text for request in short.requests if _was_taken(request, short) for text in request.texts]
    assert sorted(taken) == ["a", "b", "c"]


# Ten of them are 20 characters; ten of LONG's are some 65.
DENSE = " ".join("abcdefghij" * 3)


@over_http
@pytest.mark.parametrize("long_texts", [LongTexts.TRUNCATE, LongTexts.SPLIT])
async def test_what_becomes_of_a_long_text_depends_on_it_alone(
    protocols: Protocols, protocol: ModelProtocol, long_texts: LongTexts
) -> None:
    """Its vector is kept for whoever sends it next: beside a text of a denser script it has to be the same.
    Also where the server takes but one text in a request, and those that it could cut are refused together.
    """
    for max_texts in (4, 1):
        with running_upstream(Embeddings(max_tokens=10, max_texts=max_texts)) as server:
            model, wanted = route_to(server, protocol=protocol), Wanted(long_texts=long_texts)
            alone = [await embed(protocols, model, [text], wanted) for text in (DENSE, LONG)]
            together = await embed(protocols, model, [DENSE, LONG], wanted)
        np.testing.assert_array_equal(together.vectors, np.concatenate([one.vectors for one in alone]))


@over_http
async def test_a_long_text_read_in_parts_is_their_weighted_mean(
    protocols: Protocols, short: UpstreamServer, protocol: ModelProtocol
) -> None:
    model = route_to(short, protocol=protocol, prompts=Prompts(document="d: "))
    wanted = Wanted(Purpose.DOCUMENT, long_texts=LongTexts.SPLIT)
    made = await embed(protocols, model, ["a", LONG], wanted)
    assert made.split == [1]
    assert made.truncated == []
    expect(Made(made.vectors[:1]), ["d: a"])
    parts = [request.texts for request in short.requests if _was_taken(request, short)][1:]
    read = [text.removeprefix("d: ") for texts in parts for text in texts]
    # All of it was read, no word cut, each part with its prompt.
    assert "".join(sorted(read, key=LONG.index)) == LONG
    assert all(text.startswith("d: ") for texts in parts for text in texts)
    mean = sum(len(text) * vector_of("d: " + text, 8) for text in read)
    np.testing.assert_allclose(made.vectors[1], mean / np.linalg.norm(mean), atol=1e-5)


async def test_requests_that_are_too_large_together_are_halved(protocols: Protocols) -> None:
    """A TEI server that takes fewer texts than the gateway believes, none of them too long."""
    with running_upstream(Embeddings(max_texts=3)) as server:
        texts = [f"text {number}" for number in range(20)]
        made = await embed(protocols, route_to(server, protocol="tei"), texts)
    expect(made, texts)
    assert made.truncated == []
    assert made.total_tokens == 40


async def test_a_server_that_refuses_to_cut_what_it_should_is_helped(
    protocols: Protocols, short: UpstreamServer
) -> None:
    """As some versions of Ollama do."""

    async def never_cuts(exchange: behaviours.Exchange) -> None:
        if any(len(text.split()) > 10 for text in exchange.request.texts):
            refusal = b'{"error":"the input length exceeds the context length"}'
            await behaviours.status(400, body=refusal)(exchange)
        else:
            await exchange.send(exchange.reply)

    short.behave(never_cuts)
    made = await embed(protocols, route_to(short, protocol="ollama"), ["a", LONG])
    assert made.truncated == [1]


async def test_a_server_that_takes_no_text_at_all_is_asked_a_bounded_number_of_times(
    protocols: Protocols, server: UpstreamServer
) -> None:
    server.behave(behaviours.status(413))
    for long_texts in LongTexts:
        before = server.served
        with pytest.raises(TextTooLong):
            await embed(protocols, route_to(server), [LONG] * 8, Wanted(long_texts=long_texts))
        assert server.served - before < 60


async def test_a_model_that_hangs_leaves_others_of_its_server_their_connections(
    protocols: Protocols, server: UpstreamServer
) -> None:
    """And a probe finds that the server is well, though the model has all connections that it may have."""
    hanging, other = route_to(server, name="hanging"), route_to(server, name="other")
    server.behave(behaviours.hang)
    asked = [asyncio.ensure_future(embed(protocols, hanging, TEXTS)) for _ in range(8)]
    await asyncio.to_thread(wait_until, "all are on their way", lambda: server.now == 8)
    server.behave(behaviours.well)
    await embed(protocols, other, TEXTS)
    await protocols.of("openai").probe(hanging.addresses[0], hanging, WITHIN_S)
    for each in asked:
        each.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
