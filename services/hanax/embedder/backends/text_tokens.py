"""Texts to tokens, as the model's tokenizer.json says, without padding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from tokenizers import Encoding, Tokenizer

from hanax.core.errors import FailedPrecondition, HanaxError
from hanax.embedder.backends import Purpose, Tokens
from hanax.embedder.backends.model_traits import ModelTraits

# A token takes a hundred bytes and more until its number is taken: tens of megabytes for all of these.
_CHARACTERS_AT_ONCE: Final = 512 * 1024


def read_tokenizer(traits: ModelTraits) -> Tokenizer:
    """Raises FailedPrecondition for a model without a tokenizer.json, or with a damaged one."""
    try:
        return Tokenizer.from_file(str(traits.tokenizer_file))
    except HanaxError:
        raise
    except Exception as error:  # the library raises nothing narrower
        raise FailedPrecondition(f"{traits.tokenizer_file} is damaged: {error}") from None


def portions(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """All texts in order, so many as are given to a tokenizer at once: as few as possible, none empty."""
    first, characters = 0, 0
    for place, text in enumerate(texts):
        characters += len(text)
        if characters > _CHARACTERS_AT_ONCE and place > first:
            yield texts[first:place]
            first, characters = place, len(text)
    if first < len(texts):
        yield texts[first:]


class TextTokenizer:
    """Safe on several threads at once: nothing of the tokenizer is changed after it was made."""

    def __init__(self, tokenizer: Tokenizer, traits: ModelTraits) -> None:
        """Raises FailedPrecondition for prompts that are not supported."""
        self._cutting = Tokenizer.from_str(tokenizer.to_str())
        self._cutting.no_padding()
        self._whole = Tokenizer.from_str(self._cutting.to_str())
        self._whole.no_truncation()
        self._cutting.enable_truncation(traits.max_tokens)
        self._max_tokens: Final = traits.max_tokens
        self._lowers_case: Final = traits.lowers_case
        self._prompts: Final = traits.prompts
        self._padding_id: Final = traits.padding_id
        around = self._whole.encode("a")
        inner = [at for at, special in enumerate(around.special_tokens_mask) if not special]
        first, last = (inner[0], inner[-1] + 1) if inner else (len(around.ids), len(around.ids))
        self._head: Final = around.ids[:first]
        self._tail: Final = around.ids[last:]

    def tokenize(self, texts: Sequence[str], purpose: Purpose) -> list[Tokens]:
        prompt = self._prompts.of(purpose)
        found: list[Tokens] = []
        for portion in portions(texts):
            encodings = self._cutting.encode_batch_fast([self._cased(prompt + text) for text in portion])
            found += map(self._tokens, encodings)
        return found

    def split(self, text: str, purpose: Purpose) -> list[Tokens]:
        """Parts of about one length, so that none is a remainder of few tokens."""
        prompt = self._whole.encode(self._cased(self._prompts.of(purpose)), add_special_tokens=False).ids
        ids = self._whole.encode(self._cased(text), add_special_tokens=False).ids
        room = self._max_tokens - len(self._head) - len(prompt) - len(self._tail)
        if room < 1:
            raise FailedPrecondition(
                f"the model reads {self._max_tokens} tokens, and its prompt leaves no room for a text"
            )
        size = math.ceil(len(ids) / max(1, math.ceil(len(ids) / room))) or 1
        parts = [ids[start : start + size] for start in range(0, len(ids), size)] or [[]]
        return [self._part([*self._head, *prompt, *part, *self._tail]) for part in parts]

    def _cased(self, text: str) -> str:
        return text.lower() if self._lowers_case else text

    def _tokens(self, found: Encoding) -> Tokens:
        rest = found.overflowing
        around = len(self._head) + len(self._tail)
        total = len(found.ids) + sum(len(part.ids) - around for part in rest) if rest else 0
        return replace(self._part(found.ids), truncated=bool(rest), total=total)

    def _part(self, ids: list[int]) -> Tokens:
        # A tokenizer may know nothing of a text, and have no special tokens to put around it.
        read = ids or [self._padding_id]
        return Tokens(np.array(read, np.int64), len(read), truncated=False)
