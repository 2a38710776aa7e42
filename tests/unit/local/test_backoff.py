from __future__ import annotations

import random

from hanax.local.backoff import Backoff


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(1.0, 10.0, random.Random(1))
    steps = [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    for step in steps:
        assert step / 2 <= backoff.next_pause() <= step


def test_they_begin_anew_after_a_reset() -> None:
    backoff = Backoff(1.0, 10.0, random.Random(1))
    for _ in range(4):
        backoff.next_pause()
    backoff.reset()
    assert backoff.next_pause() <= 1.0


def test_they_differ_between_services() -> None:
    pauses = {Backoff(1.0, 10.0, random.Random(seed)).next_pause() for seed in range(10)}
    assert len(pauses) == 10
