"""Options that several commands share: a dataclass of them is one parameter of a command.

typer reads a command's signature. `grouped` hands it one in which each field of such a dataclass is a
parameter of its own, so that help and completion show them where they are used.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

Answer = TypeVar("Answer")


def grouped(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Make one parameter of each field of the parameters that are dataclasses. Names must differ."""
    hints = get_type_hints(command, include_extras=True)
    told: dict[str, inspect.Parameter] = {}
    groups: dict[str, tuple[type[Any], list[str]]] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if not is_dataclass(kind):
            told[name] = parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)
            continue
        assert isinstance(kind, type)
        field_hints = get_type_hints(kind, include_extras=True)
        groups[name] = (kind, [field.name for field in fields(kind)])
        for field in fields(kind):
            assert field.name not in told, f"{command.__name__} has two parameters {field.name}"
            told[field.name] = inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_default(field),
                annotation=field_hints[field.name],
            )

    @functools.wraps(command)
    def run(**given: Any) -> Answer:
        made = {
            name: kind(**{one: given.pop(one) for one in members}) for name, (kind, members) in groups.items()
        }
        return command(**made, **given)

    shown: Any = run
    shown.__signature__ = inspect.Signature(list(told.values()))
    shown.__annotations__ = {name: parameter.annotation for name, parameter in told.items()}
    # Else the names of the types would be looked up in the command's module, and the group's are not there.
    del shown.__wrapped__
    return run


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is MISSING else field.default
