"""The error tree: its drawing, its codes, and rebuilding an error from data."""

from __future__ import annotations

import re

import pytest

from hanax.core import errors
from hanax.core.errors import HanaxError, Internal, error_from_code, error_types


def drawn_tree() -> list[tuple[int, str]]:
    """(depth, class name) of each line of the module's drawing."""
    assert errors.__doc__
    drawing = errors.__doc__.split("\n\n")[1].splitlines()
    found = []
    for line in drawing:
        match = re.match(r"(?P<branch>[│├└─ ]*)(?P<name>\w+)", line)
        assert match, line
        found.append((len(match["branch"]) // 4, match["name"]))
    return found


def real_tree(kind: type[HanaxError] = HanaxError, depth: int = 0) -> list[tuple[int, str]]:
    found = [(depth, kind.__name__)]
    for child in kind.__subclasses__():
        found += real_tree(child, depth + 1)
    return found


def test_the_drawing_is_the_tree() -> None:
    assert drawn_tree() == real_tree()


def test_every_class_has_a_code_of_its_own_named_like_it() -> None:
    kinds = list(error_types())
    assert len(kinds) == len(real_tree()) - 1
    for kind in kinds:
        assert kind.code == re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@pytest.mark.parametrize("kind", list(error_types()), ids=lambda kind: kind.__name__)
def test_an_error_is_rebuilt_from_its_code(kind: type[HanaxError]) -> None:
    error = error_from_code(kind.code, "what was expected", {"index": 3})
    assert type(error) is kind
    assert (error.message, error.details, str(error)) == (
        "what was expected",
        {"index": 3},
        "what was expected",
    )


def test_an_unknown_code_is_internal() -> None:
    error = error_from_code("from_the_future", "hello", {"a": 1})
    assert type(error) is Internal
    assert (error.message, error.details) == ("hello", {"a": 1})


def test_details_may_have_any_name() -> None:
    details = {"message": "m", "self": 1, "code": 2}
    assert error_from_code("not_found", "text", details).details == details
