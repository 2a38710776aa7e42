"""What rights may say: values that can be forced everywhere, rates that can be counted, and instants."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from hanax.core.errors import FailedPrecondition, InvalidArgument
from hanax.gateway.cache.keys import confined_digest
from hanax.gateway.guard.key_files import KeyFiles, KeyPaths
from hanax.gateway.guard.own_points import OwnPoints
from hanax.gateway.guard.rights import MIN_PER_S, NewKey, ending_of, forced_of
from hanax.gateway.requests import parse_request

GRANTS = [{"scopes": ["read"]}]
KEY = "k" * 40


@pytest.mark.parametrize("value", ["acme", "x" * 256, "\u00e9\U0001f600", 0, -1, 2**63 - 1, -(2**63)])
def test_what_is_forced_can_be_held_in_every_operation(value: str | int) -> None:
    forced = forced_of({"tenant": value})
    assert forced == {"tenant": value}
    own = OwnPoints(forced)
    assert own.filter(b"")
    assert orjson.loads(own.owned(b"{}", 1)) == {"tenant": value}
    assert confined_digest(b"digest", forced)


@pytest.mark.parametrize("value", ["", "x" * 257, "\ud800", "a\udfff", 2**63, -(2**63) - 1, 2**70, True, 1.5])
def test_what_can_not_be_held_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument, match=r"filter\.tenant"):
        forced_of({"tenant": value})


def test_provenance_is_nobodys_own() -> None:
    with pytest.raises(InvalidArgument, match="reserved"):
        forced_of({"_embedding": "acme"})
    assert forced_of({"_embedding_": "acme"}) is not None


@pytest.mark.parametrize("per_s", [0, -1, 1e-309, 1e-8, 0.0009, 1_000_001])
def test_rates_that_no_bucket_can_have(per_s: float) -> None:
    body = {"name": "x", "grants": GRANTS, "rate": {"requests_per_s": per_s, "burst": 1}}
    with pytest.raises(InvalidArgument, match="requests_per_s"):
        parse_request(NewKey, body)


def test_the_slowest_rate() -> None:
    body = {"name": "x", "grants": GRANTS, "rate": {"requests_per_s": MIN_PER_S, "burst": 1_000_000}}
    assert parse_request(NewKey, body).rate is not None


def test_an_instant_has_its_offset() -> None:
    assert ending_of(None) is None
    assert ending_of(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1_000_000
    # The bare value on purpose: it is another instant on every machine.
    with pytest.raises(InvalidArgument, match="expires_at"):
        ending_of(datetime(2030, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("ends", "is_taken"),
    [("2030-01-01T00:00:00Z", True), ("2030-01-01T00:00:00+02:00", True), ("2030-01-01T00:00:00", False)],
)
def test_files_ask_for_offsets_as_requests_do(tmp_path: Path, ends: str, is_taken: bool) -> None:
    file = tmp_path / "keys.json"
    one: dict[str, Any] = {"name": "web", "key": KEY, "grants": GRANTS, "expires_at": ends}
    file.write_bytes(orjson.dumps({"keys": [one]}))
    if is_taken:
        KeyFiles(KeyPaths(keys=file))
        return
    with pytest.raises(
        FailedPrecondition, match=r"keys\[0\]\.expires_at: expected an instant with its offset"
    ):
        KeyFiles(KeyPaths(keys=file))
