"""Quantities as Kubernetes writes them: 500m, 2, 1.5, 10Gi, 64M, 2e9."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

from hanax.core.errors import InvalidArgument
from hanax.core.resources.manifests import Rule, checked_by

QuantityText = str | int

_FORM: Final = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?[0-9]{1,2}))?"
)
_BINARY: Final = {suffix: Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)}
_DECIMAL: Final = {suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)} | {
    suffix: Decimal(1000) ** -power for power, suffix in enumerate("mun", start=1)
}
# Longer ones are no quantity that someone means.
_MAX_LETTERS: Final = 64
_PATTERN: Final = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"


def value_of(quantity: QuantityText) -> Decimal:
    """The number, to 28 digits: cores for cpu, bytes for memory and storage.

    Raises InvalidArgument for text that is no quantity.
    """
    found = _FORM.fullmatch(text) if len(text := str(quantity)) <= _MAX_LETTERS else None
    if found is None:
        raise InvalidArgument(f"expected a quantity such as 10Gi, 500M or 2, got {text[:60]!r}")
    number, binary, decimal, exponent = found.groups()
    if binary:
        return Decimal(number) * _BINARY[binary[0]]
    if decimal:
        return Decimal(number) * _DECIMAL[decimal]
    return Decimal(number).scaleb(int(exponent)) if exponent else Decimal(number)


def bytes_of(quantity: QuantityText) -> int:
    """Bytes, a fraction of one rounded up. Raises InvalidArgument for text that is no quantity."""
    value = value_of(quantity)
    return int(value) + (value != int(value))


def _checked(quantity: QuantityText) -> QuantityText:
    try:
        value = value_of(quantity)
    except InvalidArgument as failure:
        raise ValueError(failure.message) from None
    if value < 0:
        raise ValueError(f"expected a quantity of 0 or more, got {quantity}")
    return quantity


def _checked_size(size: str) -> str:
    if value_of(_checked(size)) <= 0:
        raise ValueError(f"expected a size above 0 such as 10Gi, got {size}")
    return size


# An amount of a compute resource. Kubernetes takes numbers and text.
Quantity = Annotated[
    QuantityText,
    AfterValidator(_checked),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": _PATTERN,
            "maxLength": _MAX_LETTERS,
            "x-kubernetes-int-or-string": True,
        }
    ),
]

# Bytes of a volume, as text.
StorageSize = Annotated[
    str,
    AfterValidator(_checked_size),
    Field(
        max_length=_MAX_LETTERS,
        json_schema_extra=checked_by(
            Rule(
                "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
                "expected a size above 0 such as 10Gi or 500M",
            )
        ),
    ),
]
