"""Libraries that come with extras of this package, imported where they are first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hxp_vector_client.errors import MissingExtra


def imported(module: str, extra: str) -> Any:
    """Raises MissingExtra."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"this needs {module} ({error}): pip install 'hxp-vector-client[{extra}]'",
            details={"extra": extra},
        ) from None
