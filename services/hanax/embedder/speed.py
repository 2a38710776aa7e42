"""How fast a model was lately."""

from __future__ import annotations

from typing import Final

# A batch counts half of what the fifth batch after it counts.
_DECAY: Final = 0.87


class Speed:
    """Tokens a second over the last batches, of a fixed weight each; unknown until one was measured."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0

    def observe(self, tokens: int, seconds: float) -> None:
        self._tokens = self._tokens * _DECAY + tokens
        self._seconds = self._seconds * _DECAY + seconds

    def seconds_for(self, tokens: int) -> float:
        """0 while unknown."""
        return tokens * self._seconds / self._tokens if self._tokens else 0.0

    def tokens_in(self, seconds: float) -> float:
        """No bound while unknown."""
        return seconds * self._tokens / self._seconds if self._seconds > 0.0 else float(1 << 62)
