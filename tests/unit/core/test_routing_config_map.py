"""The routing table in a ConfigMap: small, the same bytes for the same table, and refused when damaged."""

from __future__ import annotations

import base64
import gzip
import json
import random
from typing import Any

import pytest

from hanax.core import routing_config_map
from hanax.core.errors import DataLoss, RoutingTableTooLarge
from hanax.core.model_routes import ModelRoute
from hanax.core.routing import (
    Aliases,
    CollectionRoute,
    DeletedCollection,
    NodeRoute,
    RoutingTable,
    ShardRoute,
)
from hanax.core.routing_config_map import (
    ALIASES_KEY,
    MAX_TABLE_BYTES,
    TABLE_KEY,
    aliases_from_config_map,
    aliases_to_config_map_data,
    from_config_map,
    to_config_map_data,
)
from hanax.core.specs import CollectionSpec

WHOLE = (ShardRoute(shard=0, first_slot=0, last_slot=1023, replicas=("a",)),)


def table(collections: int = 1) -> RoutingTable:
    draw = random.Random(7)
    return RoutingTable(
        revision=12,
        nodes=(NodeRoute(name="a", address="a.pool.ns.svc.cluster.local:9101"),),
        collections=tuple(
            CollectionRoute(
                uid=f"{draw.getrandbits(128):032x}",
                spec=CollectionSpec(name=f"collection-{number}", dimension=384),
                created_at_us=draw.getrandbits(50),
                suspended=number % 2 == 1,
                shards=WHOLE,
            )
            for number in range(collections)
        ),
        deleted=(DeletedCollection(name="gone", uid="u0"),),
        models=(
            ModelRoute(
                name="m", dimension=384, max_tokens=256, endpoints=("https://x/v1",), protocol="openai"
            ),
        ),
        aliases=Aliases(generation=2, collection_by_alias={"live": "collection-0"}),
    )


def packed(document: Any) -> dict[str, dict[str, str]]:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return {"binaryData": {TABLE_KEY: base64.b64encode(gzip.compress(raw)).decode()}}


def test_a_table_comes_back_and_its_revision_can_be_read() -> None:
    data, binary = to_config_map_data(table(3))
    assert data == {"revision": "12"}
    assert from_config_map({"metadata": {}, "data": data, "binaryData": binary}) == table(3)


def test_equal_tables_make_equal_bytes() -> None:
    """Whoever writes only what differs would otherwise write for ever."""
    assert to_config_map_data(table(3)) == to_config_map_data(table(3))
    written = base64.b64decode(to_config_map_data(table())[1][TABLE_KEY])
    assert written[4:8] == bytes(4), "no time stamp"


def test_thousands_of_collections_fit() -> None:
    _, binary = to_config_map_data(table(5_000))
    assert len(base64.b64decode(binary[TABLE_KEY])) < MAX_TABLE_BYTES / 2


def test_a_table_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing_config_map, "MAX_TABLE_BYTES", 1_000)
    with pytest.raises(RoutingTableTooLarge, match="of 50 collections takes") as refusal:
        to_config_map_data(table(50))
    assert refusal.value.details["limit_bytes"] == 1_000
    assert refusal.value.details["size_bytes"] > 1_000


def test_fields_of_a_newer_version_are_passed_over() -> None:
    document = table().model_dump(mode="json")
    document["of_a_newer_version"] = 1
    document["collections"][0]["spec"]["of_a_newer_version"] = {"x": 1}
    document["nodes"][0]["of_a_newer_version"] = True
    assert from_config_map(packed(document)) == table()


GOOD = table().model_dump(mode="json")


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"binaryData": None},
        {"binaryData": {}},
        {"data": {"revision": "12"}},
        {"binaryData": {TABLE_KEY: "not base64"}},
        {"binaryData": {TABLE_KEY: base64.b64encode(b"not gzip").decode()}},
        {"binaryData": {TABLE_KEY: base64.b64encode(gzip.compress(b"{}" * 500)[:-9]).decode()}},
        packed(b""),
        packed(b"{"),
        packed([]),
        packed({**GOOD, "revision": -1}),
        packed({**GOOD, "nodes": []}),
        packed({**GOOD, "models": [{**GOOD["models"][0], "protocol": "of a newer version"}]}),
    ],
)
def test_a_damaged_config_map_is_no_table(damaged: dict[str, Any]) -> None:
    with pytest.raises(DataLoss):
        from_config_map(damaged)


def test_bytes_of_the_stream_that_are_wrong_are_found() -> None:
    raw = bytearray(gzip.compress(json.dumps(GOOD).encode()))
    for place in range(12, len(raw), 7):
        bad = raw.copy()
        bad[place] ^= 0x55
        with pytest.raises(DataLoss):
            from_config_map({"binaryData": {TABLE_KEY: base64.b64encode(bad).decode()}})


def test_what_swells_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing_config_map, "_MAX_JSON_BYTES", 10_000)
    with pytest.raises(DataLoss, match="more than 10000 bytes"):
        from_config_map(packed(b" " * 20_000))


def test_aliases_come_back_and_an_empty_config_map_has_none() -> None:
    aliases = Aliases(generation=3, collection_by_alias={"live": "a"})
    assert aliases_from_config_map({"data": aliases_to_config_map_data(aliases)}) == aliases
    nothing: list[dict[str, Any]] = [{}, {"data": None}, {"data": {}}, {"data": {"note": "x"}}]
    for empty in nothing:
        assert aliases_from_config_map(empty) == Aliases()
    for damaged in ("", "{", '{"generation": -1}', '{"collection_by_alias": {"UPPER": "a"}}'):
        with pytest.raises(DataLoss):
            aliases_from_config_map({"data": {ALIASES_KEY: damaged}})
