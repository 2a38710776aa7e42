"""What a client of any protocol does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hanax.core.model_routes import ModelRoute
from hanax.gateway.models.wanted import Made, Wanted


class ProtocolClient(Protocol):
    """One per protocol, for all models and addresses of it.

    max_texts: of one request, where the model's route says nothing (`max_batch_texts`).
    max_tokens_per_request: of all texts of one request together; None: no limit is known.
    """

    max_texts: int
    max_tokens_per_request: int | None

    async def embed(
        self, address: str, model: ModelRoute, texts: Sequence[str], wanted: Wanted, timeout_s: float
    ) -> Made:
        """One vector per text, in order; `texts` is not empty. All of it ends within `timeout_s`.

        Raises TextTooLong (`indexes` in the details are those of `texts`), InvalidArgument for dimensions
        that the model does not have, RateLimited, Overloaded, Unavailable, UpstreamFailed, DeadlineExceeded.
        """

    async def probe(self, address: str, model: ModelRoute, timeout_s: float) -> None:
        """Ask whether the server is well. Raises what `embed` raises when it is not."""
