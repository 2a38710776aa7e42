"""How the rows of a batch are cut into parts that are computed one by one, or side by side.

Rows of a part are padded to its longest. Every part holds texts of similar length, for padding is
computed like anything else; but every run costs something, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

# What a run of ONNX Runtime costs beside its tokens, as so many of them.
_RUN_TOKENS: Final = 16
# The same of OpenVINO, whose tokens are cheaper.
_EVEN_RUN_TOKENS: Final = 48
_LEAST_STEP: Final = 8
# Widths from one power of two to the next: padding is 1/16 at most, and half of that on average.
_WIDTHS: Final = 8
_LEAST_EQUAL_STEP: Final = 16
_EQUAL_WIDTHS: Final = 4


def parts_of(counts: Sequence[int], budget_tokens: int) -> list[list[int]]:
    """Rows of texts with so many tokens, the longest first, in parts of at most `budget_tokens`

    with padding; a text that alone has more is a part of its own. A part ends, too, before a row
    from which on padding to its longest would cost more than another run.
    """
    order = sorted(range(len(counts)), key=lambda at: -counts[at])
    parts: list[list[int]] = []
    longest = room = 0
    for at, row in enumerate(order):
        to_come = min(room, len(order) - at)
        if room == 0 or (longest - counts[row]) * to_come > _RUN_TOKENS:
            parts.append([])
            longest = counts[row]
            room = max(1, budget_tokens // longest)
        parts[-1].append(row)
        room -= 1
    return parts


def even_parts_of(counts: Sequence[int], budget_tokens: int) -> list[list[int]]:
    """The same for a runtime that keeps kernels for each shape of a part, so that shapes are few:

    a part has a power of two of rows, and is padded to a multiple of `width_step`. Of the possible
    parts, the one is next that computes the least beside its own tokens.
    """
    order = sorted(range(len(counts)), key=lambda at: -counts[at])
    parts: list[list[int]] = []
    start = 0
    while start < len(order):
        width = even_width(counts[order[start]])
        room = max(1, budget_tokens // width)
        best, best_share, own = 1, 0.0, 0
        for rows, row in enumerate(order[start : start + room], 1):
            own += counts[row]
            share = own / (rows * width + _EVEN_RUN_TOKENS)
            if rows & (rows - 1) == 0 and share > best_share:
                best, best_share = rows, share
        parts.append(order[start : start + best])
        start += best
    return parts


def width_step(longest: int) -> int:
    """What the width of a part is a multiple of, where its longest text has so many tokens."""
    return max(_LEAST_STEP, (1 << (longest - 1).bit_length()) // (2 * _WIDTHS))


def even_width(longest: int) -> int:
    step = width_step(longest)
    return -(-longest // step) * step


def equal_parts_of(counts: Sequence[int], budget_tokens: int) -> list[list[int]]:
    """The same for products of 8-bit numbers, where a text is padded to `equal_width` of its own:

    whatever it comes with, it is computed to the same bits. One that differed in the seventh digit
    would be rounded to another step here and there, which the layers after it multiply.
    """
    order = sorted(range(len(counts)), key=lambda at: -counts[at])
    parts: list[list[int]] = []
    for width, group in groupby(order, key=lambda at: equal_width(counts[at])):
        rows = list(group)
        while rows:
            size = _round_number(min(len(rows), max(1, budget_tokens // width)))
            parts.append(rows[:size])
            rows = rows[size:]
    return parts


def equal_step(longest: int) -> int:
    """Fewer widths than of `width_step`: a kernel of 8-bit products takes more memory."""
    return max(_LEAST_EQUAL_STEP, (1 << (longest - 1).bit_length()) // (2 * _EQUAL_WIDTHS))


def equal_width(longest: int) -> int:
    step = equal_step(longest)
    return -(-longest // step) * step


def _round_number(most: int) -> int:
    """The largest of 1, 2, 3, 4, 6, 8, 12... that is not more."""
    power = 1 << (most.bit_length() - 1)
    return power * 3 // 2 if most >= power * 3 // 2 and power > 1 else power
