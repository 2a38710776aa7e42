"""Places of requests that are worked on, and those who are away from theirs."""

from __future__ import annotations

import time

import pytest

from hanax.core.errors import Overloaded
from hanax.gateway.calls import Call
from hanax.gateway.places import Places


def call_in(places: Places) -> Call:
    places.take()
    call = Call("1", time.monotonic)
    call.places = places
    return call


def test_who_is_away_leaves_the_place_to_another() -> None:
    places = Places(1)
    call = call_in(places)
    with pytest.raises(Overloaded):
        places.take()
    with call.away(), call.away():
        assert (places.taken, places.away) == (0, 1)
        places.take()
    # Back at once, though another one works.
    assert (places.taken, places.away) == (2, 0)
    with pytest.raises(Overloaded):
        places.take()


def test_so_many_are_away_and_no_more() -> None:
    places = Places(2)
    while places.leave():
        pass
    assert places.away == 16
    call = call_in(Places(1))
    call.places = places
    before = places.taken
    with call.away():
        assert (places.taken, places.away) == (before, 16)
    assert (places.taken, places.away) == (before, 16)


def test_a_call_without_a_place_leaves_none() -> None:
    with Call("1", time.monotonic).away():
        pass
