"""Watch events of custom resources, and of the objects that carry the project's label.

kopf keeps the connections; it handles events alone, so that it writes nothing of its own into objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from hanax.core.resources.names import APP, APP_LABEL
from hanax_operator.objects import CHILD_KINDS, RESOURCE_KINDS, Kind, Manifest

# In whole seconds, as the API server takes them. It ends watches after five minutes or so; one that is silent
# for longer than this is dead.
_WATCH_S = 300
_CONNECT_S = 10

# Type of the event (DELETED, or what leaves the object there) and the object.
Hear = Callable[[str, Manifest], None]


def registry_of(hear: Hear) -> kopf.OperatorRegistry:
    """Handlers that call `hear` with each event."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(login)
    for kind in (*RESOURCE_KINDS, *CHILD_KINDS):
        names = (kind.group, kind.version, kind.plural) if kind.group else (kind.version, kind.plural)
        kopf.on.event(*names, registry=registry, id=f"watch-{kind.plural}")(_watcher(kind, hear))
    return registry


def settings_of() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # Neither namespaces nor CRDs are watched: the operator has no right to, and serves one namespace.
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.process.ultimate_exiting_timeout = None
    settings.watching.server_timeout = _WATCH_S
    settings.watching.client_timeout = _WATCH_S + _CONNECT_S
    settings.watching.connect_timeout = _CONNECT_S
    for kind in CHILD_KINDS:
        names = (kind.group, kind.version, kind.plural) if kind.group else (kind.version, kind.plural)
        settings.watching.label_selectors[names] = f"{APP_LABEL}={APP}"
    return settings


async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """As the API client does: KUBECONFIG where it is set, else the pod's account."""
    return kopf.login_with_kubeconfig(**kwargs) or kopf.login_with_service_account(**kwargs)


def _watcher(kind: Kind, hear: Hear) -> Callable[..., Any]:
    async def watch(event: dict[str, Any], **_: Any) -> None:
        hear(
            event["type"] or "ADDED",
            {**event["object"], "apiVersion": kind.api_version, "kind": kind.kind},
        )

    return watch
