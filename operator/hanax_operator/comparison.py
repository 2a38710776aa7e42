"""Whether an object is as it is wanted: the reason why most reconciles write nothing.

Server-side apply would answer an unchanged object too, but only after a request. So the live object is
compared here: every wanted field is there with its value, and every field that this manager owned before is
still wanted. What others own, and what the server filled in, is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hanax.core.errors import InvalidArgument
from hanax.core.resources.quantities import value_of
from hanax_operator.objects import Manifest
from hanax_operator.ownership import applied_fields

# Under these names the server rewrites amounts into one form, "1024Mi" to "1Gi".
_AMOUNTS = frozenset({"requests", "limits", "capacity", "hard"})
_AMOUNT_FIELDS = frozenset({"sizeLimit", "averageValue"})

# The keys by which the server merges lists of objects, the most telling first.
_LIST_KEYS = ("uid", "mountPath", "containerPort", "name")

# Named by every apply, owned by nobody.
_IDENTITY = frozenset({"apiVersion", "kind"})


def differences(wanted: Manifest, live: Manifest, manager: str) -> list[str]:
    """Paths of fields that are missing or different in `live`, or owned by `manager` and no longer wanted."""
    found = [
        path
        for name, value in wanted.items()
        if name not in _IDENTITY
        for path in _missing(value, live.get(name), name)
    ]
    owned = applied_fields(live, manager)
    if owned is None:
        return [*found, "metadata.managedFields"]
    return [*found, *_left_over(owned, wanted, "")]


def _missing(wanted: Any, live: Any, path: str) -> list[str]:
    if live is None and wanted in (None, "", [], {}):
        # The server leaves out what is empty.
        return []
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return [path]
        amounts = path.rpartition(".")[2] in _AMOUNTS
        return [
            inner
            for name, value in wanted.items()
            for inner in (
                _missing_amount(value, live.get(name), f"{path}.{name}")
                if amounts or name in _AMOUNT_FIELDS
                else _missing(value, live.get(name), f"{path}.{name}")
            )
        ]
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return _missing_items(wanted, live, path)
    return [] if wanted == live and type(wanted) is type(live) else [path]


def _missing_amount(wanted: Any, live: Any, path: str) -> list[str]:
    if isinstance(wanted, str | int) and isinstance(live, str | int):
        try:
            return [] if value_of(wanted) == value_of(live) else [path]
        except InvalidArgument:
            pass
    return _missing(wanted, live, path)


def _missing_items(wanted: Sequence[Any], live: Any, path: str) -> list[str]:
    if not isinstance(live, Sequence) or isinstance(live, str):
        return [path]
    key = _merge_key(wanted)
    if key is None:
        if len(wanted) != len(live):
            return [path]
        pairs = [(f"{path}[{at}]", item, live[at]) for at, item in enumerate(wanted)]
    else:
        # Others may add items to a list that is merged by key.
        by_key = {item.get(key): item for item in live if isinstance(item, Mapping)}
        pairs = [(f"{path}[{item[key]}]", item, by_key.get(item[key])) for item in wanted]
    return [inner for where, item, other in pairs for inner in _missing(item, other, where)]


def _merge_key(items: Sequence[Any]) -> str | None:
    """The key that tells these items apart, None where they are compared in order."""
    if items and all(isinstance(item, Mapping) for item in items):
        for key in _LIST_KEYS:
            if len({item.get(key) for item in items} - {None}) == len(items):
                return key
    return None


def _left_over(owned: Mapping[str, Any], wanted: Any, path: str) -> list[str]:
    """Paths of owned fields that are not in `wanted`. `owned` is a tree of fieldsV1."""
    found = []
    for step, inner in owned.items():
        kind, _, text = step.partition(":")
        if kind == "f":
            where = f"{path}.{text}" if path else text
            if not isinstance(wanted, Mapping) or text not in wanted:
                found.append(where)
            elif inner:
                found += _left_over(inner, wanted[text], where)
        elif kind in ("k", "v"):
            item = _owned_item(kind, json.loads(text), wanted)
            if item is None:
                found.append(f"{path}[{text}]")
            elif inner:
                found += _left_over(inner, item, f"{path}[{text}]")
    return found


def _owned_item(kind: str, named: Any, wanted: Any) -> Any:
    """The item of a wanted list that a step of fieldsV1 names, None when it is not wanted."""
    if not isinstance(wanted, Sequence) or isinstance(wanted, str):
        return None
    if kind == "v":
        return named if named in wanted else None
    for item in wanted:
        # The server fills keys in that were left out, as a port's protocol.
        if isinstance(item, Mapping) and all(item.get(key, value) == value for key, value in named.items()):
            return item
    return None
