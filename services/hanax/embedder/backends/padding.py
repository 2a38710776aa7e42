"""Token ids of texts of several lengths as one rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hanax.embedder.backends import Tokens

Ids = npt.NDArray[np.int64]


def padded(batch: Sequence[Tokens], padding_id: int, step: int = 1) -> tuple[Ids, Ids]:
    """Ids and mask, int64 (texts, tokens of the longest, rounded up to a multiple of `step`).

    The mask is 1 where a token is the text's.
    """
    longest = max(tokens.count for tokens in batch)
    shape = (len(batch), -(-longest // step) * step)
    ids = np.full(shape, padding_id, np.int64)
    mask = np.zeros(shape, np.int64)
    for row, tokens in enumerate(batch):
        ids[row, : tokens.count] = tokens.ids
        mask[row, : tokens.count] = 1
    return ids, mask


def padded_pairs(batch: Sequence[Tokens], padding_id: int, step: int = 1) -> tuple[Ids, Ids, Ids]:
    """Ids, mask and types of rows whose `ids` are int64 (2, count): tokens, and which text each is of."""
    ids, mask = padded([replace(tokens, ids=tokens.ids[0]) for tokens in batch], padding_id, step)
    types = np.zeros_like(ids)
    for row, tokens in enumerate(batch):
        types[row, : tokens.count] = tokens.ids[1]
    return ids, mask, types
