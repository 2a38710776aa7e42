"""The two clients have one surface, and the generator makes the one of the other."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import hanax
from hxp_vector_client import AsyncVectorClient, Connection, VectorClient, __version__, errors
from scripts.gen_sdk import generated, synchronous


def _members(client: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name in dir(client):
        if name.startswith("_") or name in ("closed", "transport"):
            continue
        member = getattr(client, name)
        if callable(member):
            yield prefix + name, member
        else:
            yield from _members(member, f"{name}.")


async def test_both_clients_take_the_same() -> None:
    with VectorClient() as blocking:
        async with AsyncVectorClient() as awaited:
            ours, theirs = dict(_members(blocking)), dict(_members(awaited))
    assert ours.keys() == theirs.keys()
    assert {"search", "collections.create", "jobs.wait", "documents.chunks", "keys.rotate"} <= ours.keys()
    for name, method in ours.items():
        own, other = inspect.signature(method), inspect.signature(theirs[name])  # type: ignore[arg-type]
        assert list(own.parameters) == list(other.parameters), name
        assert [one.kind for one in own.parameters.values()] == [
            one.kind for one in other.parameters.values()
        ]
        assert inspect.getdoc(method), f"{name} says nothing of itself"


def test_it_has_the_version_of_the_servers() -> None:
    assert __version__ == hanax.__version__


def test_what_is_generated_is_current() -> None:
    for path, text in generated().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run make gen"


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("async def f() -> None:\n    await g()\n", "def f() -> None:\n    g()\n"),
        ("async with AsyncThing() as one:\n    pass\n", "with Thing() as one:\n    pass\n"),
        ("x = [one async for one in AsyncIterator()]\n", "x = [one for one in Iterator()]\n"),
        # Neither comments nor texts, and no word that only holds another.
        (
            "# await it\nx = 'await'\nAsynchrony = awaited\n",
            "# await it\nx = 'await'\nAsynchrony = awaited\n",
        ),
        ('"""await client.f(): asynchronous"""\n', '"""client.f(): synchronous"""\n'),
    ],
)
def test_async_words_are_taken_out(written: str, made: str) -> None:
    assert synchronous(written) == made


def test_clients_refuse_what_is_no_address() -> None:
    for url in ("127.0.0.1:8000", "ftp://host:1", "", "http://", "http://host:99999"):
        with pytest.raises(errors.InvalidArgument, match="url"):
            VectorClient(url)
    for url in ("127.0.0.1", "ftp://host:1", "grpc://host:port"):
        with pytest.raises(errors.InvalidArgument, match="url"):
            VectorClient(url, transport="grpc")
    with pytest.raises(errors.InvalidArgument, match="transport"):
        VectorClient(transport="pigeon")  # type: ignore[arg-type]


def test_certificates_that_can_not_be_read_have_a_name(tmp_path: Path) -> None:
    for transport in ("rest", "graphql"):
        with pytest.raises(errors.InvalidArgument, match=r"certificates .*none.pem can not be read"):
            VectorClient(
                Connection("https://host", verify=str(tmp_path / "none.pem")),
                transport=transport,
            )
    over_grpc = Connection("grpcs://host:1", verify=str(tmp_path / "none.pem"))
    with VectorClient(over_grpc, transport="grpc") as client, pytest.raises(errors.InvalidArgument):
        client.count("c")


def test_options_that_do_not_exist_are_python_s_own_error() -> None:
    with VectorClient() as client:
        with pytest.raises(TypeError, match="limitt"):
            client.search("c", [1.0], limitt=3)  # type: ignore[call-arg]
        with pytest.raises(errors.InvalidArgument, match="one of vector, text and like"):
            client.search("c")
        with pytest.raises(errors.InvalidArgument, match="entries"):
            client.upsert("c", [[1.0]], ids=[1, 2])
        with pytest.raises(errors.InvalidArgument, match="numbers"):
            client.upsert("c", [["a"]])  # type: ignore[list-item]
