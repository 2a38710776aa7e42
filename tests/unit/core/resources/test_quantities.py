"""Quantities are read as Kubernetes reads them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hanax.core.errors import InvalidArgument
from hanax.core.resources.quantities import bytes_of, value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        (2, "2"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("500m", "0.5"),
        ("250u", "0.00025"),
        ("3n", "0.000000003"),
        ("2k", "2000"),
        ("1M", "1000000"),
        ("1Mi", "1048576"),
        ("20Gi", "21474836480"),
        ("1.5Gi", "1610612736"),
        ("1Ei", "1152921504606846976"),
        ("1E", "1000000000000000000"),
        ("2e9", "2000000000"),
        ("1E3", "1000"),
        ("12e-1", "1.2"),
        ("-5Gi", "-5368709120"),
    ],
)
def test_values_are_exact(text: str | int, value: str) -> None:
    assert value_of(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    ["", "Gi", "1 Gi", "20GB", "1gi", "1K", "0x10", "1e", "1e1.5", "e5", "1MiB", "--1", "1" * 65, "\u0661"],
)
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidArgument, match="such as 10Gi"):
        value_of(text)


@pytest.mark.parametrize(
    ("text", "size"), [("1Gi", 2**30), ("1500m", 2), ("0.1", 1), ("7", 7), ("2e30", 2 * 10**30)]
)
def test_bytes_are_whole_and_never_less(text: str, size: int) -> None:
    assert bytes_of(text) == size
