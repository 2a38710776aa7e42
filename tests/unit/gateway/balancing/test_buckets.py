"""Rates and retry budgets."""

from __future__ import annotations

from hanax.core.model_routes import RequestRate
from hanax.gateway.balancing.buckets import RateBucket, RetryBudget


def test_a_burst_goes_at_once_and_then_so_many_a_second() -> None:
    bucket = RateBucket(RequestRate(per_s=2.0, burst=3), 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s(0, 0.0) == 0.5
    assert bucket.wait_s(3, 0.0) == 2.0
    assert not bucket.take(0.4)
    assert bucket.take(0.5)
    # It never saves up more than a burst.
    assert [bucket.take(1_000.0) for _ in range(4)] == [True, True, True, False]


def test_a_rate_that_changes_keeps_what_was_taken() -> None:
    bucket = RateBucket(RequestRate(per_s=1.0, burst=10), 0.0)
    for _ in range(9):
        assert bucket.take(0.0)
    bucket.change(RequestRate(per_s=100.0, burst=5), 0.0)
    assert [bucket.take(0.0) for _ in range(2)] == [True, False]
    assert bucket.take(0.01)


def test_retries_are_a_fifth_of_the_requests_and_a_few() -> None:
    budget = RetryBudget(0.0)
    requests = retries = 0
    for _ in range(10_000):
        budget.request()
        requests += 1
        # Everybody tries three times.
        retries += sum(budget.take(0.0) for _ in range(2))
    assert 0.19 * requests < retries <= 0.2 * requests + 20


def test_those_who_ask_seldom_may_always_try_again() -> None:
    budget = RetryBudget(0.0)
    for hour in range(1, 200):
        budget.request()
        assert all(budget.take(hour * 3_600.0) for _ in range(3))


def test_a_quiet_time_does_not_save_up_a_storm() -> None:
    budget = RetryBudget(0.0)
    for _ in range(1_000_000):
        budget.request()
    assert sum(budget.take(0.0) for _ in range(1_000)) == 200
