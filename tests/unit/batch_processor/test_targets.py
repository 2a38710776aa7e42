"""Points that the gateway refuses are found and fail alone; all others are stored."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanax.batch_processor.batches import Outcome
from hanax.batch_processor.points import Point
from hanax.batch_processor.targets import calls_of, isolated
from hanax.core.errors import InvalidMetadata, TextTooLong, Unavailable
from hanax.core.ids import encode_id


def points(count: int) -> list[Point]:
    return [Point(n, None, encode_id(n), f"t{n}", None, b"", {"id": n}) for n in range(count)]


class Refusing:
    """Stores a call as a whole, unless one of its points is bad: then the error names it as it is told to."""

    def __init__(self, bad: set[int], naming: str) -> None:
        self.bad = bad
        self.naming = naming
        self.stored: list[int] = []
        self.calls = 0

    async def send(self, some: Sequence[Point]) -> Outcome:
        self.calls += 1
        places = [place for place, point in enumerate(some) if point.number in self.bad]
        if places:
            if self.naming == "all":
                raise TextTooLong(f"texts[{places[0]}]: too long", indexes=places)
            if self.naming == "first":
                raise InvalidMetadata(f"vectors[{places[0]}].metadata: no", index=places[0])
            raise InvalidMetadata("one of them is bad")
        self.stored += [point.number for point in some]
        return Outcome(done=len(some))


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 40), st.sets(st.integers(0, 39)), st.sampled_from(["all", "first", "none"]))
async def test_each_bad_point_fails_and_each_good_one_is_stored_once(
    count: int, bad: set[int], naming: str
) -> None:
    target = Refusing({number for number in bad if number < count}, naming)
    outcome = await isolated(points(count), target.send)
    assert sorted(target.stored) == [number for number in range(count) if number not in target.bad]
    assert sorted(failed.number for failed in outcome.failed) == sorted(target.bad)
    assert outcome.done == count - len(target.bad)
    # Halving alone: log2 of the batch for each bad one, twice.
    assert target.calls <= 1 + len(target.bad) * (2 if naming != "none" else 14)


async def test_a_reason_says_which_item_is_meant_outside_of_its_batch() -> None:
    outcome = await isolated(points(5), Refusing({3}, "first").send)
    assert outcome.failed[0].message == "item 3.metadata: no"
    assert outcome.failed[0].id == 3


async def test_what_is_no_fault_of_points_is_none() -> None:
    async def send(some: Sequence[Point]) -> Outcome:
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        await isolated(points(2), send)


def test_no_call_has_an_id_twice_and_the_later_point_is_sent_later() -> None:
    batch = points(6)
    for place, number in enumerate((1, 2, 1, 3, 2, 1)):
        batch[place].id = encode_id(number)
    assert [[point.number for point in call] for call in calls_of(batch)] == [[0, 1, 3], [2, 4], [5]]


def test_a_point_that_must_have_a_version_is_sent_alone() -> None:
    batch = points(4)
    batch[1].if_version = 0
    batch[2].if_version = 9
    assert [[point.number for point in call] for call in calls_of(batch)] == [[0, 3], [1], [2]]
