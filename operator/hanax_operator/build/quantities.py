"""Amounts of resources and storage in the API server's own words: what is applied reads as what is stored.

The server rewrites 1000m to 1 and 0.5Gi to 512Mi, and rounds up to a thousandth. An amount that it would
write in another way looks like a change each time it is compared with the stored one.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Final

from hanax.core.resources.quantities import QuantityText, value_of

_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
# From the smallest amount that is kept.
_DECIMAL: Final = ("m", "", "k", "M", "G", "T", "P", "E")
_SMALLEST: Final = Decimal("0.001")


def canonical(quantity: QuantityText) -> str:
    """No fraction, and the largest suffix of the same family. Raises InvalidArgument for no quantity.

    k8s.io/apimachinery, pkg/api/resource: CanonicalizeBytes. The server keeps a few odd spellings that are
    put right here, such as 01Gi and 2E9.
    """
    text = str(quantity)
    value = (value_of(text) / _SMALLEST).to_integral_value(ROUND_CEILING) * _SMALLEST
    if value == 0:
        return "0"
    # Less than 1Ki, and a fraction of a byte, can't be told in powers of 1,024.
    if text.endswith("i") and value >= 1024 and value == value.to_integral_value():
        return _with_suffix(int(value), 1024, _BINARY)
    count = int(value / _SMALLEST)
    # A suffix E is 10 to the 18th; inside the text it is an exponent.
    if "e" in text.lower().removesuffix("e"):
        return _with_exponent(count)
    return _with_suffix(count, 1000, _DECIMAL)


def _with_suffix(count: int, base: int, suffixes: tuple[str, ...]) -> str:
    """count: in units of the first suffix."""
    step = 0
    while step < len(suffixes) - 1 and count % base == 0:
        count //= base
        step += 1
    return f"{count}{suffixes[step]}"


def _with_exponent(count: int) -> str:
    """count: of thousandths."""
    exponent = -3
    while count % 1000 == 0:
        count //= 1000
        exponent += 3
    return f"{count}e{exponent}" if exponent else str(count)
