"""What a client of any protocol does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from hanax.core.model_routes import ModelRoute
from hanax.gateway.balancing.attempts import Attempt
from hanax.gateway.models.wanted import Made, Wanted

# Has a request made to one of the model's servers, and again to others where that may mend a failure.
Run = Callable[[Attempt[Made]], Awaitable[Made]]


class ProtocolClient(Protocol):
    """One per protocol, for all models and addresses of it.

    max_texts: of one request, where the model's route says nothing (`max_batch_texts`).
    max_tokens_per_request: of all texts of one request together; None: no limit is known.
    """

    max_texts: int
    max_tokens_per_request: int | None

    async def embed(self, run: Run, model: ModelRoute, texts: Sequence[str], wanted: Wanted) -> Made:
        """One vector per text, in order; `texts` is not empty. Each request to a server is a `run` of its
        own, and there are several where texts are too long for a server that can't cut them.

        Raises TextTooLong (`indexes` in the details are those of `texts`) and what `run` raises. An attempt
        raises TextTooLong, InvalidArgument for dimensions that the model does not have, RateLimited,
        Overloaded, Unavailable, UpstreamFailed, DeadlineExceeded.
        """

    async def probe(self, address: str, model: ModelRoute, timeout_s: float) -> str:
        """Ask whether the server is well; the version of the model there, empty where it is not told.
        Raises what an attempt raises when it is not.
        """
        ...
