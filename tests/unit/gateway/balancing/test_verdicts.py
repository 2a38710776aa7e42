"""What each error says of the endpoint. A new kind of error has to be thought about here."""

from __future__ import annotations

import pytest

from hanax.core import errors
from hanax.core.errors import HanaxError, error_types
from hanax.gateway.balancing.verdicts import LONGEST_REST_S, judge, rest_s

# A kind of unavailable: no endpoint raises it.
BLAMED = {"unavailable", "database_unavailable", "upstream_failed", "deadline_exceeded"}
TRIED_ELSEWHERE = {"resource_exhausted", "overloaded", "rate_limited", "data_loss", "collection_not_found"}


@pytest.mark.parametrize("kind", list(error_types()), ids=lambda kind: kind.code)
def test_every_error_has_its_verdict(kind: type[HanaxError]) -> None:
    verdict = judge(kind("as told"))
    assert verdict.blames == (kind.code in BLAMED)
    assert verdict.elsewhere == (kind.code in TRIED_ELSEWHERE)
    assert verdict.retry == (kind.code in BLAMED | TRIED_ELSEWHERE)


def test_what_is_there_to_stay_is_tried_at_another_endpoint_only() -> None:
    verdict = judge(errors.UpstreamFailed("wrong key", retryable=False))
    assert (verdict.retry, verdict.elsewhere, verdict.blames) == (True, True, True)
    verdict = judge(errors.Unavailable("no key of ours", retryable=False))
    assert (verdict.retry, verdict.blames) == (False, False)


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_finds_the_request_wrong_is_not_blamed(status: int) -> None:
    """Another may take it, and to other requests this one is as good as ever."""
    verdict = judge(errors.UpstreamFailed("what is this?", retryable=False, status=status))
    assert (verdict.retry, verdict.elsewhere, verdict.blames) == (True, True, False)


def test_who_says_when_to_come_again_is_waited_for() -> None:
    error = errors.RateLimited("slow down", retry_after_s=3)
    assert rest_s(error) == 3.0
    assert not judge(error).elsewhere
    assert rest_s(errors.RateLimited("slow down", retry_after_s=1e9)) == LONGEST_REST_S
    for told in (-1, 0, "soon", None, float("nan")):
        assert 0.0 < rest_s(errors.RateLimited("slow down", retry_after_s=told)) < 1.0
        assert rest_s(errors.Unavailable("away", retry_after_s=told)) == 0.0
