from __future__ import annotations

import pytest

from hanax.cli.demo.questions import ANSWERS, QUESTIONS, Question, is_answered

_QUESTION = Question("how?", frozenset({"right", "also right"}))


@pytest.mark.parametrize("place", [0, ANSWERS - 1])
def test_a_best_answer_among_the_first_counts(place: int) -> None:
    found = [f"other {number}" for number in range(ANSWERS)]
    found[place] = "also right"
    assert is_answered(_QUESTION, found)


def test_one_further_down_does_not() -> None:
    found = [f"other {number}" for number in range(ANSWERS)]
    assert not is_answered(_QUESTION, [*found, "right"])


def test_nothing_found_is_no_answer() -> None:
    assert not is_answered(_QUESTION, [])


def test_there_are_six() -> None:
    assert len({question.text for question in QUESTIONS}) == 6
    assert all(question.best for question in QUESTIONS)
