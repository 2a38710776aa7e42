"""docs/queries.md: every request runs, and answers what the page shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson

from tests.integration.gateway.stack import Stack

_PAGE = Path(__file__).parents[3] / "docs" / "queries.md"
_REQUEST = re.compile(r"`POST (\S+)`\n```json\n(.*?)```(?:\nanswers\n```json\n(.*?)```)?", re.DOTALL)


def test_the_page_is_true(shards: Stack) -> None:
    requests = _REQUEST.findall(_PAGE.read_text())
    assert len(requests) >= 14
    for path, body, answer in requests:
        data = shards.data(shards.post(path, orjson.loads(body)))
        if answer:
            _check_shown(orjson.loads(answer), data, f"{path} {body}")


def _check_shown(shown: Any, given: Any, where: str) -> None:
    """Lists and values are equal; of an object, at the top and in results, only a part is shown."""
    if isinstance(shown, dict):
        for key, value in shown.items():
            if key == "metadata":
                assert given[key] == value, where
            else:
                _check_shown(value, given[key], where)
    elif isinstance(shown, list):
        assert isinstance(given, list)
        assert len(shown) == len(given), (where, given)
        for one, other in zip(shown, given, strict=True):
            _check_shown(one, other, where)
    else:
        assert shown == given, where
