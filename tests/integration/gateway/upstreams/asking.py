"""Asking upstreams, as tests of their failures do."""

from __future__ import annotations

import pytest

from hanax.core.errors import HanaxError
from hanax.core.model_routes import ModelRoute
from hanax.gateway.balancing.attempts import Attempt
from hanax.gateway.models.protocols.client import Run
from hanax.gateway.models.protocols.registry import Protocols
from hanax.gateway.models.wanted import Made, Wanted
from tests.integration.gateway.upstreams.conftest import WITHIN_S

TEXTS = ["one", "two", "three"]

# Long enough for an answer that comes at once, and waited out where none does.
SOON_S = 1.0


def at(address: str, timeout_s: float = WITHIN_S) -> Run:
    """Has each request made there once."""

    async def run(attempt: Attempt[Made]) -> Made:
        return await attempt(address, timeout_s)

    return run


async def embed(protocols: Protocols, model: ModelRoute, timeout_s: float = WITHIN_S) -> Made:
    run = at(model.addresses[0], timeout_s)
    return await protocols.of(model.protocol).embed(run, model, TEXTS, Wanted())


async def failure(protocols: Protocols, model: ModelRoute, timeout_s: float = WITHIN_S) -> HanaxError:
    """What asking it raises; it names the model."""
    with pytest.raises(HanaxError) as raised:
        await embed(protocols, model, timeout_s)
    assert model.name in raised.value.message
    return raised.value


async def probe(protocols: Protocols, model: ModelRoute, timeout_s: float = WITHIN_S) -> str:
    return await protocols.of(model.protocol).probe(model.addresses[0], model, timeout_s)
