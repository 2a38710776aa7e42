"""The client's errors are the server's, and say what they know."""

from __future__ import annotations

import pickle

from hanax.core.errors import HanaxError, error_types
from hxp_vector_client import VectorError, errors


def test_every_error_of_the_server_has_its_class_and_its_place_in_the_tree() -> None:
    for kind in error_types():
        if kind.__module__ != HanaxError.__module__:
            continue
        own = getattr(errors, kind.__name__)
        assert own.default_code == kind.code
        base = kind.__base__
        parent = VectorError if base is HanaxError or base is None else getattr(errors, base.__name__)
        assert own.__base__ is parent
        assert type(errors.error_from_code(kind.code, "m")) is own


def test_an_unknown_code_comes_through() -> None:
    error = errors.error_from_code("brand_new", "something", {"a": 1})
    assert type(error) is VectorError
    assert (error.code, error.message, error.details) == ("brand_new", "something", {"a": 1})


def test_errors_survive_pickling() -> None:
    error = errors.error_from_code("rate_limited", "slow down", {"a": 1})
    error.request_id, error.retry_after_s, error.status = "r-1", 2.0, 429
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is errors.RateLimited
    assert copy.__dict__ == error.__dict__
    assert str(copy) == "slow down [rate_limited, request r-1]"


def test_every_error_is_exported_and_under_the_one_base() -> None:
    for name in errors.__all__:
        found = getattr(errors, name)
        if isinstance(found, type):
            assert issubclass(found, VectorError)
