"""Places: how many requests are worked on at once.

A request that waits for somebody else outside, such as a model, is not worked on: it leaves its place to
others meanwhile, so that what hangs out there takes no place from those who do not need it. How many may
be away is bounded too; past that a request waits in its place.
"""

from __future__ import annotations

from typing import Final

from hanax.core.errors import Overloaded

# Away at once, for each place. A request that is away holds memory and computes nothing.
_AWAY_PER_PLACE: Final = 8


class Places:
    """For one event loop. Who comes back is let in at once, so a few more than `most` may work then."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_away = most * _AWAY_PER_PLACE
        self.taken = 0
        self.away = 0

    @property
    def most_in_all(self) -> int:
        """Requests that are worked on or away."""
        return self._most + self._most_away

    def take(self) -> None:
        """Raises Overloaded when there is no place."""
        if self.taken >= self._most:
            raise Overloaded(f"the gateway works on {self._most} requests already", limit=self._most)
        self.taken += 1

    def give_back(self) -> None:
        self.taken -= 1

    def leave(self) -> bool:
        """Until `come_back`; False: too many are away, and the place is kept."""
        if self.away >= self._most_away:
            return False
        self.taken -= 1
        self.away += 1
        return True

    def come_back(self) -> None:
        self.away -= 1
        self.taken += 1


class SharedPlace:
    """The one place of a request that has several parts: left while those that work are all away."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._working = 0
        self._left = False

    def join(self) -> None:
        """A part begins."""
        if self._left:
            self._left = False
            self._places.come_back()
        self._working += 1

    def part(self) -> None:
        """A part has ended."""
        self._working -= 1

    def leave(self) -> bool:
        """As of `Places`, for one part."""
        self._working -= 1
        if self._working == 0:
            self._left = self._places.leave()
        return True

    def come_back(self) -> None:
        self.join()
