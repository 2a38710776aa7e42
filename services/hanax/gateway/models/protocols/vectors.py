"""Vectors out of an upstream's answer, every number checked."""

from __future__ import annotations

import binascii
from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np

from hanax.core.errors import InvalidArgument
from hanax.gateway.models.protocols.failures import Server
from hanax.gateway.models.wanted import Vectors

# Of one number in JSON, with its comma and with what a server that writes for people puts around it.
_NUMBER_BYTES: Final = 48
# Of what surrounds a vector, and of what surrounds them all.
_ROW_BYTES: Final = 1_024
_REST_BYTES: Final = 1 << 20
# A server may repeat the texts, with every byte escaped.
_ESCAPED: Final = 6


def answer_bytes(dimension: int, texts: Sequence[str]) -> int:
    """The most that an answer of vectors for `texts` can take."""
    return (
        _REST_BYTES
        + len(texts) * (_ROW_BYTES + dimension * _NUMBER_BYTES)
        + _ESCAPED * sum(len(text.encode()) for text in texts)
    )


def matrix(server: Server, rows: object, count: int, dimension: int) -> Vectors:
    """float32[count, dimension] of lists of numbers, or of float32_le in base64.

    Raises UpstreamFailed that says what was expected and what came; InvalidArgument where the server made
    the model's whole vectors, though shorter ones were asked for.
    """
    if not isinstance(rows, list):
        raise server.no_answer("answered no list of vectors")
    if len(rows) != count:
        raise server.no_answer(
            f"answered {len(rows)} vectors for {count} texts", expected=count, got=len(rows)
        )
    values = array("f")
    for row in rows:
        got = _append(server, values, row)
        if got == server.model.dimension > dimension:
            raise server.failed(
                InvalidArgument,
                f"makes no vectors shorter than {got} numbers, dimensions of {dimension} were asked for",
                expected=dimension,
                got=got,
            )
        if got != dimension:
            raise server.no_answer(
                f"answered vectors of {got} numbers, expected {dimension}",
                expected=dimension,
                got=got,
            )
    made = np.frombuffer(values, np.float32).reshape(count, dimension)
    if not np.isfinite(made).all():
        raise server.no_answer("answered a vector with numbers that are not finite")
    return made


def _append(server: Server, values: array[float], row: object) -> int:
    """How many numbers `row` has, now at the end of `values`."""
    before = len(values)
    try:
        if isinstance(row, str):
            # "<f4" as the wire has it, whatever this processor's order.
            values.frombytes(np.frombuffer(binascii.a2b_base64(row), "<f4").astype(np.float32).tobytes())
        elif isinstance(row, list):
            values.fromlist(row)
        else:
            raise TypeError
    except (TypeError, ValueError, OverflowError):
        raise server.no_answer("answered a vector that is no list of numbers") from None
    return len(values) - before
