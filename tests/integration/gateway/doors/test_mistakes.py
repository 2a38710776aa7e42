"""The same mistake is the same error through REST, gRPC and GraphQL: its code, its message, its details."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hanax.core.errors import error_types
from tests.integration.gateway.doors.codes import NOT_OF_CALLERS, OF_A_MOMENT, OF_A_PROTOCOL
from tests.integration.gateway.doors.conftest import House
from tests.integration.gateway.doors.drivers import Told
from tests.integration.gateway.doors.mistakes import DOORS, MISTAKES, Mistake


@pytest.fixture(scope="module")
def unchanged(house: House) -> Iterator[House]:
    """Fails when one of all mistakes has changed something."""
    before = house.all_that_is_stored()
    yield house
    assert house.all_that_is_stored() == before


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_told_alike(unchanged: House, mistake: Mistake) -> None:
    asked = mistake.asked(unchanged.keys, unchanged.job)
    told = {name: unchanged.doors[name].ask(asked) for name in mistake.doors}
    first, *others = (comparable(one) for one in told.values())
    assert all(one == first for one in others), told
    assert first is not None
    assert first.code == mistake.code, first


def comparable(told: Told | None) -> Told | None:
    """Without the seconds until a token comes, which pass."""
    if told is None:
        return None
    details = {name: value for name, value in told.details.items() if name != "retry_after_s"}
    return Told(told.code, told.message, details, told.after)


def test_every_code_is_made_or_has_its_reason() -> None:
    made = {mistake.code for mistake in MISTAKES}
    assert {mistake.code for mistake in MISTAKES if mistake.doors == DOORS} >= made - {"not_found"}
    reasons = (OF_A_PROTOCOL, OF_A_MOMENT, NOT_OF_CALLERS)
    told = [*made, *(code for codes in reasons for code in codes)]
    assert len(told) == len(set(told))
    assert set(told) == {kind.code for kind in error_types()}


def test_mistakes_have_names_of_their_own() -> None:
    names = [mistake.name for mistake in MISTAKES]
    assert len(names) == len(set(names))
