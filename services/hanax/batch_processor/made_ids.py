"""Ids of rows that have none: of the job and the row's number, the same however often a row is done."""

from __future__ import annotations

import hashlib
import uuid
from typing import Final

import numpy as np

_UUID_TAG: Final = b"\x02"
_SIZE: Final = 17
_NUMBER_BYTES: Final = 6


class IdMaker:
    """UUIDs of version 8 (RFC 9562), encoded: 74 bits of a hash of the job's id, 48 bits of the number.

    Jobs share an id with a chance of 2^-74 for each two of them, rows of one job never.
    """

    def __init__(self, job_id: str) -> None:
        digest = hashlib.sha256(uuid.UUID(job_id).bytes).digest()
        # Four bits of version and two of variant.
        version, variant = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
        self._start = _UUID_TAG + digest[:6] + bytes([version, digest[7], variant]) + digest[9:10]

    def of(self, number: int) -> bytes:
        return self._start + number.to_bytes(_NUMBER_BYTES, "big")

    def run(self, first: int, count: int) -> list[bytes]:
        """Of `count` numbers from `first` on, at a tenth of the cost."""
        table = np.empty((count, _SIZE), dtype=np.uint8)
        table[:, :-_NUMBER_BYTES] = np.frombuffer(self._start, dtype=np.uint8)
        numbers = np.arange(first, first + count, dtype=">u8").view(np.uint8).reshape(count, -1)
        table[:, -_NUMBER_BYTES:] = numbers[:, -_NUMBER_BYTES:]
        made: list[bytes] = table.view(f"V{_SIZE}").ravel().tolist()
        return made
