"""Why applying a manifest would restart pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hanax_operator.objects import Manifest

# Fields of a pod or container that builders leave out when nothing is asked. The API server puts no defaults
# into them, so that they are the same or they differ.
_WHOLE: Final = (
    "affinity",
    "imagePullSecrets",
    "nodeSelector",
    "resources",
    "tolerations",
    "topologySpreadConstraints",
)


def restart_reasons(live: Manifest, wanted: Manifest) -> tuple[str, ...]:
    """Paths inside the pod template in which a wanted StatefulSet or Deployment differs from the live one.

    Empty: its pods stay. What the live one has beyond is taken for the API server's or another writer's.
    """
    return tuple(_differences(wanted["spec"]["template"], live["spec"]["template"], ""))


def _differences(wanted: Any, live: Any, path: str) -> Iterator[str]:
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for field in _WHOLE:
            if (wanted.get(field) or None) != (live.get(field) or None):
                yield _below(path, field)
        for field in wanted:
            if field not in _WHOLE:
                yield from _differences(wanted[field], live.get(field), _below(path, field))
    elif _is_named(wanted) and _is_named(live):
        by_name = {item["name"]: item for item in live}
        for item in wanted:
            yield from _differences(item, by_name.get(item["name"]), _below(path, item["name"]))
    elif wanted != live:
        yield path


def _is_named(value: Any) -> bool:
    """Whether it is a list whose items go by name: containers, volumes, ports, variables."""
    return isinstance(value, list) and all(isinstance(item, Mapping) and "name" in item for item in value)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
