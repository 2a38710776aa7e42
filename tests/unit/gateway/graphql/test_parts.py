"""A request with several parts has one place, and counts what its parts did."""

from __future__ import annotations

import pytest

from hanax.core.errors import Overloaded
from hanax.gateway.calls import Call
from hanax.gateway.places import Places, SharedPlace


@pytest.fixture
def places() -> Places:
    found = Places(1)
    found.take()
    return found


def call(places: Places) -> Call:
    made = Call("id", lambda: 10.0)
    made.places = places
    return made


def test_the_place_is_left_while_all_parts_that_work_are_away(places: Places) -> None:
    shared = SharedPlace(places)
    one, two = call(places).part(shared), call(places).part(shared)
    shared.join()
    shared.join()
    with one.away():
        with pytest.raises(Overloaded):
            places.take()
        with two.away():
            assert (places.taken, places.away) == (0, 1)
        # The second works again.
        assert (places.taken, places.away) == (1, 0)
    shared.part()
    shared.part()
    places.give_back()
    assert (places.taken, places.away) == (0, 0)


def test_a_part_that_begins_takes_the_place_back(places: Places) -> None:
    shared = SharedPlace(places)
    one = call(places).part(shared)
    shared.join()
    with one.away():
        assert places.taken == 0
        shared.join()
        assert (places.taken, places.away) == (1, 0)
        shared.part()
    assert (places.taken, places.away) == (1, 0)


def test_a_part_has_a_deadline_of_its_own_within_the_requests() -> None:
    whole = Call("id", lambda: 10.0)
    whole.limit(5.0)
    part = whole.part(None)
    part.grant(60.0)
    assert (part.deadline, whole.deadline) == (15.0, 10.0)
    other = whole.part(None)
    other.grant(1.0)
    assert other.deadline == 11.0


def test_the_request_counts_its_parts() -> None:
    whole = Call("id", lambda: 10.0)
    for seconds, items, age in ((1.0, 2, 3.0), (2.0, 5, 7.0)):
        part = whole.part(None)
        part.waited_s["shard"] = seconds
        part.items = items
        part.hit(age)
        whole.took_part(part)
    # They waited at once.
    assert (whole.waited_s, whole.items, whole.cached_age_s) == ({"shard": 2.0}, 7, 7.0)
    made = whole.part(None)
    made.cache_missed = True
    whole.took_part(made)
    assert (whole.cached_age_s, whole.cache_missed) == (None, True)
