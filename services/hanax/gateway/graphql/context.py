"""One GraphQL request while it is run: the parts that are done at once, and what they share.

Each field that asks a service object is a part with a call of its own: its own deadline, its own count of
what it did. A request has one place among those that are worked on, however many parts it has: few of them
run at once, and the place is left to others while all that run wait for somebody outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

import strawberry

from hanax.core.errors import HanaxError
from hanax.gateway.calls import Call
from hanax.gateway.graphql.documents import Document
from hanax.gateway.libraries.room import LibraryRoom, opened_room
from hanax.gateway.places import Places, SharedPlace
from hanax.gateway.services import Services

if TYPE_CHECKING:
    from hanax.gateway.graphql.loaders import Loaders

# Of one request at once.
_PARTS_AT_ONCE: Final = 4


@dataclass
class Context:
    """call: the request's. document: what is run. serial: its parts come one after the other, as changes do.

    most_s: how long all parts together may take.
    """

    services: Services
    call: Call
    document: Document
    serial: bool
    most_s: float
    _turns: asyncio.Semaphore = field(init=False, repr=False)
    _place: SharedPlace | None = field(init=False, repr=False)
    _hits: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(_PARTS_AT_ONCE)
        places = self.call.places
        self._place = SharedPlace(places) if isinstance(places, Places) else None
        if not self.serial:
            self.call.limit(self.most_s)

    @cached_property
    def loaders(self) -> Loaders:
        from hanax.gateway.graphql.loaders import Loaders

        return Loaders(self)

    @property
    def libraries(self) -> LibraryRoom:
        """Raises DatabaseNotConfigured."""
        return opened_room(self.services.libraries)

    @asynccontextmanager
    async def part(self, field_name: str) -> AsyncIterator[Call]:
        """A call for one field's question to a service object. field_name: of the schema, for metrics."""
        metrics = self.services.metrics
        async with self._turns:
            call = self.call if self.serial else self.call.part(self._place)
            began = call.clock()
            outcome = "ok"
            if self._place is not None and not self.serial:
                self._place.join()
            try:
                yield call
            except HanaxError as error:
                outcome = error.code
                raise
            except Exception:
                outcome = "internal"
                raise
            finally:
                if not self.serial:
                    if self._place is not None:
                        self._place.part()
                    self.call.took_part(call)
                metrics.resolved(field_name, outcome, call.clock() - began)


Info = strawberry.Info[Context, None]
