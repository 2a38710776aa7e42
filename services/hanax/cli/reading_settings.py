"""Settings as commands read them: HANAX_* variables, overridden by options."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from hanax.core.errors import InvalidArgument
from hanax.core.settings import Settings

Kind = TypeVar("Kind", bound=Settings)


def read_settings(kind: type[Kind], **options: Any) -> Kind:
    """options: None: the variable, or the default. Raises InvalidArgument, naming the variable."""
    try:
        return kind(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(map(str, first["loc"]))
        raise InvalidArgument(
            f"HANAX_{name.upper()}, or the option for it: {first['msg']}, got {first['input']!r}"
        ) from None
