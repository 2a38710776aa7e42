"""Kubernetes quantities, as the server writes them back: 1000m is 1, 1024Mi is 1Gi, 0.5 is 500m."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal
from typing import Final

_BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FORM: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][+-]?\d+)")
_FINEST: Final = Decimal("1e-9")


def parse(text: str | float) -> Decimal:
    """Raises ValueError."""
    return _parts(text)[0]


def canonical(text: str | float) -> str:
    """Raises ValueError."""
    value, suffix = _parts(text)
    if suffix in _BINARY and ((value == value.to_integral_value() and abs(value) >= 1024) or value == 0):
        return _largest(int(value), _BINARY)
    exponent = suffix[:1] in ("e", "E") and suffix not in _DECIMAL
    value = value.quantize(_FINEST, rounding=ROUND_UP)
    power = next(power for power in sorted(_DECIMAL.values(), reverse=True) if _divides(value, power))
    number = int(value.scaleb(-power))
    if exponent:
        return f"{number}e{power}" if power else str(number)
    return str(number) + next(word for word, known in _DECIMAL.items() if known == power)


def _parts(text: str | float) -> tuple[Decimal, str]:
    found = _FORM.fullmatch(str(text))
    if found is None:
        raise ValueError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    number, suffix = Decimal(found[1]), found[2]
    if suffix in _BINARY:
        return number * _BINARY[suffix], suffix
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix]), suffix
    return number.scaleb(int(suffix[1:])), suffix


def _divides(value: Decimal, power: int) -> bool:
    scaled = value.scaleb(-power)
    return scaled == scaled.to_integral_value() and (value != 0 or power == 0)


def _largest(value: int, units: dict[str, int]) -> str:
    for suffix, unit in reversed(units.items()):
        if value and value % unit == 0:
            return f"{value // unit}{suffix}"
    return str(value)
