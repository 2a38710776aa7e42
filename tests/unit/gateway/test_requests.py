"""What is wrong with a request is said in a user's words, and what is left out of a change stays."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.errors import InvalidArgument, InvalidLimit
from hanax.core.index_specs import HnswIndex, ScalarQuantisation
from hanax.core.specs import CollectionSpec
from hanax.gateway.requests import SearchRequest, change_spec, parse_change, parse_request
from hanax.gateway.wishes import encode_parameters

SPEC: dict[str, Any] = {"name": "docs", "dimension": 48}
SEARCH: dict[str, Any] = {"collection": "docs", "vector": [1.0]}


@pytest.mark.parametrize(
    ("more", "field", "message"),
    [
        (
            {"index": {"type": "hnsw", "links": 1}},
            "index.links",
            "there is no such field; expected one of: type, m, ef_construction, ef_search",
        ),
        (
            {"quantisation": {"type": "product", "bit": 4}},
            "quantisation.bit",
            "there is no such field; expected one of: type, bits, part_dimension, refine",
        ),
        ({"index": {"type": "ivf", "lists": 0}}, "index.lists", "input should be greater than or equal to 1"),
        ({"index": {"type": 7}}, "index.type", "there is no '7'; expected one of: auto, flat, "),
        ({"index": []}, "index", "expected an object, got an empty list"),
        ({"quantisation": {}}, "quantisation.type", "field required"),
        ({"index": {"type": "kd_tree"}, "metric": "dot"}, "request", "a k-d tree does not serve dot"),
    ],
)
def test_a_fault_is_named_where_the_user_wrote_it(more: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_request(CollectionSpec, SPEC | more)
    fault = caught.value.details["errors"][0]
    assert fault["field"] == field
    assert fault["message"].startswith(message)
    assert caught.value.message.startswith(message if field == "request" else f"{field}: {message}")


@pytest.mark.parametrize(
    ("name", "told"),
    [("", "got ''"), ("a\x00b", "got 'a\\x00b'"), ("   ", "got '   '"), (7, "got 7"), (True, "got true")],
)
def test_what_was_given_is_told_so_that_it_can_be_seen(name: object, told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_request(CollectionSpec, SPEC | {"name": name})
    assert caught.value.message.endswith(told)


def test_every_fault_is_told_and_the_first_names_the_error() -> None:
    with pytest.raises(InvalidLimit) as caught:
        parse_request(SearchRequest, SEARCH | {"limit": 0, "include_vectors": "yes"})
    assert [fault["field"] for fault in caught.value.details["errors"]] == ["limit", "include_vectors"]


def test_a_change_takes_what_is_given_and_keeps_the_rest() -> None:
    known = parse_request(
        CollectionSpec,
        SPEC | {"index": {"type": "hnsw", "m": 8}, "quantisation": {"type": "int8"}, "target_recall": 0.9},
    )
    changed = change_spec(known, parse_change({"quantisation": None}))
    assert (changed.index, changed.quantisation, changed.target_recall) == (HnswIndex(m=8), None, 0.9)
    changed = change_spec(known, parse_change({"index": {"type": "hnsw"}}))
    assert (changed.index, changed.quantisation) == (HnswIndex(), ScalarQuantisation())
    assert changed.model_copy(update={"index": known.index}) == known


def test_pins_are_replaced_whole_and_stay_where_they_are_left_out() -> None:
    known = parse_request(CollectionSpec, SPEC | {"payload_indexes": {"title": "text", "raw": "none"}})
    assert change_spec(known, parse_change({"target_recall": 0.9})).payload_indexes == known.payload_indexes
    changed = change_spec(known, parse_change({"payload_indexes": {"name": "text"}}))
    assert changed.payload_indexes == {"name": "text"}
    assert changed.model_copy(update={"payload_indexes": known.payload_indexes}) == known
    assert change_spec(known, parse_change({"payload_indexes": {}})).payload_indexes == {}


def test_a_change_is_checked_with_what_stays() -> None:
    known = parse_request(CollectionSpec, SPEC | {"metric": "dot", "quantisation": {"type": "int8"}})
    for change, reason in (
        ({"type": "kd_tree"}, "does not serve dot"),
        ({"type": "lsh"}, "lsh takes no int8"),
    ):
        with pytest.raises(InvalidArgument, match=reason):
            change_spec(known, parse_change({"index": change}))


def test_the_shard_is_told_nothing_when_nothing_is_asked_of_the_index() -> None:
    assert encode_parameters(parse_request(SearchRequest, SEARCH)) is None
    assert encode_parameters(parse_request(SearchRequest, SEARCH | {"exact": False})) is None
    told = encode_parameters(parse_request(SearchRequest, SEARCH | {"nprobe": 9}))
    assert told is not None
    assert (told.nprobe, told.exact) == (9, False)
    assert not told.HasField("ef_search")
