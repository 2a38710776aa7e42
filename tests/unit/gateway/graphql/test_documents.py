"""Documents are bounded before they are read, and kept within bounds once they are."""

from __future__ import annotations

import pytest

from hanax.core.errors import GraphqlInvalid, GraphqlTooCostly
from hanax.gateway.cache.memory import MemoryStore
from hanax.gateway.graphql import documents as module
from hanax.gateway.graphql.documents import Documents, InvalidDocument, hash_of
from hanax.gateway.graphql.persisted import PersistedDocuments
from hanax.gateway.graphql.requests import Asked, Extensions
from hanax.gateway.graphql.schema import SCHEMA


@pytest.fixture
def documents() -> Documents:
    return Documents(SCHEMA.core, introspection=True)


TOO_MUCH = {
    "bytes": "{ a" + " " * module.MAX_DOCUMENT_BYTES + "}",
    "tokens": "{" + "a " * module.MAX_TOKENS + "}",
    "selections": "{a" * 70,
    "values": "query ($a: JSON = " + "[" * 70 + "]" * 70 + ") { __typename }",
    "many": "{" + "{a:" * 30_000,
    "same": "{" + "__typename " * 101 + "}",
    "same in fragments": "{ ...A ...B } fragment A on Query {" + "a " * 60 + "} "
    "fragment B on Query {" + "a " * 60 + "}",
}


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_what_is_too_much_is_refused_before_it_is_read(documents: Documents, name: str) -> None:
    with pytest.raises(GraphqlTooCostly) as refused:
        await documents.read(TOO_MUCH[name])
    assert refused.value.details["limit"] > 0


async def test_brackets_in_texts_and_comments_are_none(documents: Documents) -> None:
    text = '{ a: __typename # {{{{\n b: __type(name: "' + "{" * 100 + '") { name } }'
    await documents.read(text)
    block = '{ __type(name: """' + "{" * 100 + ' \\""" """) { name } }'
    await documents.read(block)


@pytest.mark.parametrize("text", ["", "{", "{ nope }", '{ __type(name: "a) }', "\x00", "}{", "query"])
async def test_what_is_wrong_is_told_with_its_place(documents: Documents, text: str) -> None:
    with pytest.raises(InvalidDocument) as refused:
        await documents.read(text)
    assert refused.value.errors[0].locations


async def test_a_document_is_read_once(documents: Documents) -> None:
    first = await documents.read("{ __typename }")
    assert await documents.read("{ __typename }") is first
    assert documents.known(first.hash) is first


async def test_what_is_kept_is_bounded_and_the_least_used_goes_first(documents: Documents) -> None:
    texts = [f"# {'x' * 2_000}\nquery Q{number} {{ __typename }}" for number in range(200)]
    first = await documents.read(texts[0])
    for text in texts[1:]:
        await documents.read(text)
        await documents.read(texts[0])
    assert documents.known(first.hash) is first
    assert documents.known(hash_of(texts[1].encode())) is None
    kept = [text for text in texts if documents.known(hash_of(text.encode())) is not None]
    assert sum(map(len, kept)) <= 256 * 1024


async def test_the_operation_that_is_meant(documents: Documents) -> None:
    document = await documents.read("query A { __typename } query B { __typename }")
    assert document.operation("B").name is not None
    for name in (None, "C"):
        with pytest.raises(GraphqlInvalid, match="operationName"):
            document.operation(name)


async def test_what_the_store_holds_under_a_hash_is_checked(documents: Documents) -> None:
    """A store that others write to can't make a client run something else."""
    store = MemoryStore(1_000_000, lambda: 0.0)
    text = "{ __typename }"
    persisted = PersistedDocuments(documents, store)
    asked = Asked(query=text, extensions=_by(text))
    await persisted.find(asked)
    (key,) = store._held
    other = PersistedDocuments(Documents(SCHEMA.core, introspection=True), store)
    assert (await other.find(Asked(extensions=_by(text)))).text == text
    store._held[key] = (b"{ __schema { types { name } } }", 1e9)
    fresh = PersistedDocuments(Documents(SCHEMA.core, introspection=True), store)
    with pytest.raises(Exception, match="PersistedQueryNotFound"):
        await fresh.find(Asked(extensions=_by(text)))


def _by(text: str) -> Extensions:
    hashed = {"version": 1, "sha256Hash": hash_of(text.encode())}
    return Extensions.model_validate({"persistedQuery": hashed})
