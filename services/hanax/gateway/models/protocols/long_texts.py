"""Texts that are longer than an upstream's model reads: what is done with them, and that it is told.

Upstreams cut such texts without a word, so they are always asked to refuse them. Only when one does,
the texts that it minds are found by halving, the longest apart from the rest; the others cost no second
computation. Those found are refused, cut, or read in parts, as the request wants it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hanax.core.errors import TextTooLong
from hanax.gateway.models.wanted import LongTexts, Made, Vectors, joined

# Of English; what is too long at that is shortened until it fits.
_CHARS_PER_TOKEN: Final = 4
_SHORTER: Final = 0.6
# Of scripts that a tokenizer knows by their bytes alone.
_TOKENS_PER_CHAR: Final = 4

# Texts, and whether the server shall leave out what is too long.
Send = Callable[[Sequence[str], bool], Awaitable[Made]]


@dataclass(frozen=True, slots=True)
class Limits:
    """cuts: whether the server can leave out tails. max_tokens: of one text. max_texts: of one request."""

    cuts: bool
    max_tokens: int
    max_texts: int


class Reader:
    """One request's texts on their way to an upstream.

    `send` raises TextTooLong when one is too long, or all of them together.
    """

    def __init__(self, send: Send, limits: Limits) -> None:
        self._send = send
        self._limits = limits
        # What texts are shortened to. It shrinks with what is refused, and is not tried again for each.
        self._chars = limits.max_tokens * _CHARS_PER_TOKEN

    async def read(self, texts: Sequence[str], long_texts: LongTexts) -> Made:
        """One vector per text. Raises TextTooLong, which names the text, where those are refused, and
        where a text can't be made short enough to be taken; and what `send` raises.
        """
        try:
            return await self._send(texts, False)
        except TextTooLong as error:
            refusal = error
        found = await self._sorted_out(texts, long_texts is LongTexts.REFUSE, refusal)
        split = long_texts is LongTexts.SPLIT
        if split or not await self._cut_there(texts, found):
            for index in found.too_long:
                shortened = self._in_parts if split else self._cut_here
                found.keep([index], await shortened(texts[index], index))
        changed = sorted(found.too_long)
        return replace(
            found.whole(len(texts)), truncated=[] if split else changed, split=changed if split else []
        )

    async def _sorted_out(
        self, texts: Sequence[str], all_or_none: bool, refusal: TextTooLong | None = None
    ) -> _Found:
        """Which texts are too long, and what was made of the others. `refusal`: of all together.

        With `all_or_none` it raises TextTooLong at the first that is found.
        """
        found = _Found()
        # The long ones last, where `pop` finds them first.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        size = len(order) if refusal is not None else self._limits.max_texts
        pending = [(order[first : first + size], refusal) for first in range(0, len(order), size)]
        while pending:
            part, error = pending.pop()
            if error is None:
                try:
                    found.keep(part, await self._send([texts[index] for index in part], False))
                    continue
                except TextTooLong as again:
                    error = again
            if len(part) > 1:
                half = len(part) // 2
                pending += [(part[:half], None), (part[half:], None)]
            elif all_or_none:
                raise _named(error, part[0], texts[part[0]])
            else:
                found.too_long.append(part[0])
        return found

    async def _cut_there(self, texts: Sequence[str], found: _Found) -> bool:
        """Whether the server left out the tails itself: some say that they can, and refuse all the same."""
        if not (self._limits.cuts and found.too_long):
            return False
        try:
            made = await self._send([texts[index] for index in found.too_long], True)
        except TextTooLong:
            return False
        found.keep(found.too_long, made)
        return True

    async def _cut_here(self, text: str, index: int) -> Made:
        while True:
            try:
                return await self._send([text[: self._chars_of(text)]], False)
            except TextTooLong as error:
                self._shorten(error, index, text)

    async def _in_parts(self, text: str, index: int) -> Made:
        """The mean of the vectors of the text's parts, weighted by their characters: upstreams do not
        tell the tokens of each.
        """
        while True:
            parts = _parts(text, self._chars_of(text))
            try:
                found = await self._sorted_out(parts, all_or_none=True)
            except TextTooLong as error:
                self._shorten(error, index, text)
                continue
            made = found.whole(len(parts))
            weights = np.array([len(part) for part in parts], np.float64)
            mean: Vectors = np.average(made.vectors, axis=0, weights=weights).astype(np.float32)[None]
            return Made(mean, total_tokens=made.total_tokens)

    def _chars_of(self, text: str) -> int:
        """As many as are tried next: fewer than were refused."""
        return max(1, min(len(text) - 1, self._chars))

    def _shorten(self, error: TextTooLong, index: int, text: str) -> None:
        fewer = int(self._chars_of(text) * _SHORTER)
        # A character has no more than so many tokens: the server has another reason.
        if fewer * _TOKENS_PER_CHAR < self._limits.max_tokens:
            raise _named(error, index, text)
        self._chars = fewer


class _Found:
    """too_long: indexes of the texts that were not taken."""

    def __init__(self) -> None:
        self.too_long: list[int] = []
        self._rows: dict[int, Made] = {}
        self._totals: list[int | None] = []

    def keep(self, indexes: Sequence[int], made: Made) -> None:
        """What was made of the texts at `indexes`, in that order."""
        self._totals.append(made.total_tokens)
        for row, index in enumerate(indexes):
            tokens = None if made.tokens is None else [made.tokens[row]]
            self._rows[index] = Made(made.vectors[row : row + 1], tokens)

    def whole(self, count: int) -> Made:
        """All of them, when there are `count`."""
        told = [total for total in self._totals if total is not None]
        return replace(
            joined([self._rows[index] for index in range(count)]),
            total_tokens=sum(told) if len(told) == len(self._totals) else None,
        )


def _parts(text: str, size: int) -> list[str]:
    """Consecutive pieces of up to `size` characters, cut between words where there are some."""
    parts = []
    first = 0
    while first < len(text):
        last = first + size
        if last < len(text):
            space = text.rfind(" ", first + size // 2, last)
            last = last if space < 0 else space + 1
        if text[first:last].strip():
            parts.append(text[first:last])
        first = last
    return parts


def _named(error: TextTooLong, index: int, text: str) -> TextTooLong:
    return TextTooLong(
        f"text[{index}], of {len(text)} characters, is too long: {error.message}",
        **{**error.details, "indexes": [index]},
    )
