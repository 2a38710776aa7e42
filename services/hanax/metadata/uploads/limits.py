"""How large uploads and their portions are."""

from __future__ import annotations

from typing import Final

from hanax.core.errors import BodyTooLarge

# Read, sent and kept at once.
PORTION_BYTES: Final = 1024 * 1024


class Size:
    """What was written so far."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.bytes = 0

    def add(self, count: int) -> None:
        """Raises BodyTooLarge past the limit, and counts nothing then."""
        if self.bytes + count > self._limit_bytes:
            raise BodyTooLarge(
                f"an upload has at most {self._limit_bytes} bytes (HANAX_JOB_UPLOAD_BYTES)",
                limit_bytes=self._limit_bytes,
            )
        self.bytes += count
