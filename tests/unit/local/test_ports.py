from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hanax.core.errors import FailedPrecondition
from hanax.local.ports import LOOPBACK, PortBook, PortNeed, is_free, join, reachable


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_claimed_port_is_kept() -> None:
    book = PortBook({})
    first = book.claim(PortNeed("a"))
    assert book.claim(PortNeed("a")) == first
    assert PortBook(book.ports()).claim(PortNeed("a")) == first


def test_needs_get_ports_of_their_own() -> None:
    book = PortBook({})
    ports = [book.claim(PortNeed(str(number))) for number in range(20)]
    assert len(set(ports)) == 20


def test_a_kept_port_that_is_taken_is_replaced(taken: int) -> None:
    book = PortBook({"a": taken})
    chosen = book.claim(PortNeed("a"))
    assert chosen != taken
    assert is_free(LOOPBACK, chosen)
    assert book.ports() == {"a": chosen}


def test_a_fixed_port_is_given() -> None:
    free = PortBook({}).claim(PortNeed("any"))
    assert PortBook({"gateway": 1}).claim(PortNeed("gateway", fixed=free)) == free


def test_a_fixed_port_that_is_taken_is_refused(taken: int) -> None:
    with pytest.raises(FailedPrecondition, match=f"port {taken} on 127.0.0.1 is taken"):
        PortBook({}).claim(PortNeed("gateway", fixed=taken))


def test_a_shared_port_is_claimed_again_while_others_of_the_book_listen_on_it() -> None:
    book, need = PortBook({}), PortNeed("gateway", shared=True)
    port = book.claim(need)
    with _sharing(port):
        assert book.claim(need) == port
        assert book.claim(PortNeed("gateway", fixed=port, shared=True)) == port


def test_a_port_that_others_share_is_not_joined() -> None:
    port = PortBook({}).claim(PortNeed("any"))
    with _sharing(port), pytest.raises(FailedPrecondition, match=f"port {port} on 127.0.0.1 is taken"):
        PortBook({}).claim(PortNeed("gateway", fixed=port, shared=True))


@contextmanager
def _sharing(port: int) -> Iterator[None]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind((LOOPBACK, port))
        server.listen()
        yield


def test_a_port_that_is_listened_on_is_not_free(taken: int) -> None:
    assert not is_free(LOOPBACK, taken)


def test_old_connections_do_not_keep_a_port() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)):
            served, _ = server.accept()
            served.close()  # the end that closes first waits out its time
    assert is_free(LOOPBACK, port)


@pytest.mark.parametrize(
    ("host", "seen_at"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.1.2.3", "10.1.2.3")]
)
def test_every_address_is_reached_on_this_machine(host: str, seen_at: str) -> None:
    assert reachable(host) == seen_at


def test_join() -> None:
    assert (join("127.0.0.1", 1), join("::1", 2)) == ("127.0.0.1:1", "[::1]:2")
