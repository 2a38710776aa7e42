"""Quantities are written as the API server stores them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hanax.core.errors import InvalidArgument
from hanax.core.resources.quantities import value_of
from hanax_operator.build.quantities import canonical

# As a true API server (1.36) gave them back, of a container's requests.
STORED = [
    (0, "0"),
    ("0Gi", "0"),
    (2, "2"),
    ("1000m", "1"),
    ("1500m", "1500m"),
    ("0.5", "500m"),
    ("1.5", "1500m"),
    ("100u", "1m"),
    ("0.5m", "1m"),
    ("1500n", "1m"),
    ("0.3", "300m"),
    ("1.50", "1500m"),
    (1000, "1k"),
    ("1000k", "1M"),
    ("1500k", "1500k"),
    ("10G", "10G"),
    ("1024Mi", "1Gi"),
    ("1.5Gi", "1536Mi"),
    ("1.1Gi", "1181116006400m"),
    ("0.5Ki", "512"),
    ("0.3Ki", "307200m"),
    ("0.9765625Ki", "1k"),
    ("2048Pi", "2Ei"),
    ("1023Ki", "1023Ki"),
    ("1Ei", "1Ei"),
    ("1E", "1E"),
    ("2e3", "2e3"),
    ("20e9", "20e9"),
    ("2e10", "20e9"),
    ("1000e3", "1e6"),
    ("1.5e6", "1500e3"),
    ("1.5E3", "1500"),
    ("1e1", "10"),
    ("1e-3", "1e-3"),
    ("1e-4", "1e-3"),
    ("1.5E", "1500P"),
    (1073741824, "1073741824"),
]


@pytest.mark.parametrize(("asked", "stored"), STORED)
def test_a_quantity_as_it_is_stored(asked: str | int, stored: str) -> None:
    assert canonical(asked) == stored
    assert canonical(stored) == stored
    assert 0 <= value_of(stored) - value_of(asked) < Decimal("0.001")


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="quantity"):
        canonical("10GiB")
