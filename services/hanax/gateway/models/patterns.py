"""Whether texts are embedded at once, or queued and answered with a job."""

from __future__ import annotations

from hanax.core.errors import ModelIsBulkOnly
from hanax.core.model_routes import HYBRID_TEXTS, ModelRoute


def is_queued(model: ModelRoute, texts: int, urgent: bool) -> bool:
    if model.pattern == "hybrid":
        return not urgent and texts > HYBRID_TEXTS
    return model.pattern == "bulk_only"


def check_answers_now(model: ModelRoute, for_what: str) -> None:
    """Raises ModelIsBulkOnly where someone waits and there is no door to answer later through."""
    if model.pattern == "bulk_only":
        raise ModelIsBulkOnly(
            f"embedding model {model.name!r} is bulk_only: "
            f"its texts are queued, and {for_what} needs them now",
            model=model.name,
        )
