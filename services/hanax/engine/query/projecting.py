"""Parts of a point's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from hanax.core.field_values import Path


def narrow(blob: bytes, paths: Sequence[Path]) -> bytes:
    """The JSON object with these dotted fields alone, where they were; those that are missing are left out.

    As in filters, a top-level key that is spelt like the whole path comes first.
    """
    metadata: dict[str, Any] = orjson.loads(blob)
    kept: dict[str, Any] = {}
    for path in paths:
        whole = ".".join(path)
        if whole in metadata:
            kept[whole] = metadata[whole]
            continue
        _copy(metadata, kept, path)
    return orjson.dumps(kept)


def _copy(source: dict[str, Any], target: dict[str, Any], path: Path) -> None:
    value: Any = source
    for name in path:
        if type(value) is not dict or name not in value:
            return
        value = value[name]
    for name in path[:-1]:
        # An object that is there already may be the source's own: it was asked for as a whole.
        target[name] = inner = dict(target.get(name, {}))
        target = inner
    target[path[-1]] = value
