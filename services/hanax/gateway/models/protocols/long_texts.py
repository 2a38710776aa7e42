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
from hanax.gateway.models.wanted import LongTexts, Made, Vectors

# Of English; what is too long at that is shortened until it fits.
_CHARS_PER_TOKEN: Final = 4
_SHORTER: Final = 0.6
# Of scripts that a tokenizer knows by their bytes alone.
_TOKENS_PER_CHAR: Final = 4

# Texts that a message names; the details name them all.
_NAMED: Final = 5

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

    What becomes of a text depends on it alone, never on those beside it: its vector is kept for others.
    `send` raises TextTooLong when one is too long, or all of them together.
    """

    def __init__(self, send: Send, limits: Limits) -> None:
        self._send = send
        self._limits = limits

    async def read(self, texts: Sequence[str], long_texts: LongTexts) -> Made:
        """One vector per text. Raises TextTooLong, which names all texts that are, where those are refused,
        and the first one that can't be made short enough to be taken; and what `send` raises.
        """
        try:
            return await self._send(texts, False)
        except TextTooLong as error:
            refusal = error
        found = _Found(texts)
        changed = await self._sort_out(found, range(len(texts)), refusal)
        if changed and long_texts is LongTexts.REFUSE:
            raise _too_long(refusal, changed)
        split = long_texts is LongTexts.SPLIT
        left = changed
        if self._limits.cuts and not split:
            # Some say that they can, and refuse all the same.
            left = await self._sort_out(found, changed, cut=True)
        for index in left:
            shortened = self._in_parts if split else self._cut_here
            found.keep([index], await shortened(texts[index], index))
        return replace(found.whole(), truncated=[] if split else changed, split=changed if split else [])

    async def _sort_out(
        self,
        found: _Found,
        indexes: Sequence[int],
        refusal: TextTooLong | None = None,
        cut: bool = False,
        all_or_none: bool = False,
    ) -> list[int]:
        """Which texts are too long, ascending; what was made of the others is in `found`.

        refusal: of all together. cut: the server shall leave out tails. With `all_or_none` it raises
        TextTooLong at the first that is found.
        """
        long: list[int] = []
        # The long ones last, where `pop` finds them first.
        order = sorted(indexes, key=lambda index: len(found.texts[index]))
        size = self._limits.max_texts if refusal is None else max(1, len(order))
        pending = [(order[first : first + size], refusal) for first in range(0, len(order), size)]
        while pending:
            part, error = pending.pop()
            if error is None:
                try:
                    found.keep(part, await self._send([found.texts[index] for index in part], cut))
                    continue
                except TextTooLong as again:
                    error = again
            if len(part) > 1:
                half = len(part) // 2
                pending += [(part[:half], None), (part[half:], None)]
            elif all_or_none:
                raise error
            else:
                long.append(part[0])
        return sorted(long)

    async def _cut_here(self, text: str, index: int) -> Made:
        size = self._first_size(text)
        while True:
            try:
                return await self._send([text[:size]], False)
            except TextTooLong as error:
                size = self._smaller(size, error, index)

    async def _in_parts(self, text: str, index: int) -> Made:
        """The mean of the vectors of the text's parts, weighted by their characters: upstreams do not
        tell the tokens of each.
        """
        size = self._first_size(text)
        while True:
            found = _Found(_parts(text, size))
            try:
                await self._sort_out(found, range(len(found.texts)), all_or_none=True)
            except TextTooLong as error:
                size = self._smaller(size, error, index)
                continue
            made = found.whole()
            weights = np.array([len(part) for part in found.texts], np.float64)
            mean: Vectors = np.average(made.vectors, axis=0, weights=weights).astype(np.float32)[None]
            return Made(mean, total_tokens=made.total_tokens)

    def _first_size(self, text: str) -> int:
        """As many characters as are tried first: fewer than were refused."""
        return max(1, min(len(text) - 1, self._limits.max_tokens * _CHARS_PER_TOKEN))

    def _smaller(self, size: int, error: TextTooLong, index: int) -> int:
        """As many as are tried after `size`. Raises TextTooLong."""
        fewer = int(size * _SHORTER)
        # A character has no more than so many tokens: the server has another reason.
        if fewer * _TOKENS_PER_CHAR < self._limits.max_tokens:
            raise _too_long(error, [index])
        return fewer


class _Found:
    """What was made of which text. Upstreams tell no more of tokens than their sum."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self._rows: dict[int, Vectors] = {}
        self._totals: list[int | None] = []

    def keep(self, indexes: Sequence[int], made: Made) -> None:
        """What was made of the texts at `indexes`, in that order."""
        self._totals.append(made.total_tokens)
        self._rows.update(zip(indexes, made.vectors, strict=True))

    def whole(self) -> Made:
        """All of them, in the order of the texts."""
        told = [total for total in self._totals if total is not None]
        return Made(
            vectors=np.stack([self._rows[index] for index in range(len(self.texts))]),
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


def _too_long(error: TextTooLong, indexes: list[int]) -> TextTooLong:
    """`error`, of the texts at `indexes`."""
    named = ", ".join(f"text[{index}]" for index in indexes[:_NAMED])
    more = f" and {len(indexes) - _NAMED} more" if len(indexes) > _NAMED else ""
    return TextTooLong(f"too long: {named}{more}: {error.message}", **{**error.details, "indexes": indexes})
