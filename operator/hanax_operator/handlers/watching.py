"""Watch events of custom resources, and of the objects that carry the project's label.

kopf keeps the connections; it handles events alone, so that it writes nothing of its own into objects. It
does not say when it lists a kind anew, and what was deleted meanwhile goes unheard; its connections are
traced for that.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import aiohttp
import kopf

from hanax.core.resources.names import APP, APP_LABEL
from hanax_operator.objects import CHILD_KINDS, WATCHED_KINDS, Kind, Manifest

# In whole seconds, as the API server takes them. It ends watches after five minutes or so; one that is silent
# for longer than this is dead.
_WATCH_S = 300
_CONNECT_S = 10


class Ears(NamedTuple):
    """Who is told.

    hear: type of an event (DELETED, or what leaves the object there) and the object. watched_anew: a kind
    was listed, and is watched from there on; deletions before are not told.
    """

    hear: Callable[[str, Manifest], None]
    watched_anew: Callable[[Kind], None]


def registry_of(ears: Ears) -> kopf.OperatorRegistry:
    """Handlers that tell `ears` of each event."""
    registry = kopf.OperatorRegistry()

    async def login(**kwargs: Any) -> kopf.AiohttpSession | None:
        info = _credentials(**kwargs)
        return None if info is None else traced(info, ears)

    kopf.on.login(registry=registry)(login)
    for kind in WATCHED_KINDS:
        names = (kind.group, kind.version, kind.plural) if kind.group else (kind.version, kind.plural)
        kopf.on.event(*names, registry=registry, id=f"watch-{kind.plural}")(_watcher(kind, ears))
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


def _credentials(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """As the API client does: KUBECONFIG where it is set, else the pod's account."""
    return kopf.login_with_kubeconfig(**kwargs) or kopf.login_with_service_account(**kwargs)


def traced(info: kopf.ConnectionInfo, ears: Ears) -> kopf.AiohttpSession:
    """Connections as kopf makes them, that tell when a list of a kind was read."""
    trace = aiohttp.TraceConfig()
    kinds = {kind.plural: kind for kind in WATCHED_KINDS}

    async def read(_: object, __: SimpleNamespace, told: aiohttp.TraceResponseChunkReceivedParams) -> None:
        # Whole answers come by here, watches do not.
        kind = kinds.get(told.url.name)
        if kind is not None and told.method == "GET" and "watch" not in told.url.query:
            ears.watched_anew(kind)

    trace.on_response_chunk_received.append(read)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        proxy=info.proxy_url,
        trust_env=info.trust_env,
        trace_configs=[trace],
    )
    return kopf.AiohttpSession(
        server=info.server,
        default_namespace=info.default_namespace,
        priority=info.priority,
        expiration=info.expiration,
        aiohttp_session=session,
    )


def _watcher(kind: Kind, ears: Ears) -> Callable[..., Any]:
    async def watch(event: dict[str, Any], **_: Any) -> None:
        ears.hear(
            event["type"] or "ADDED",
            {**event["object"], "apiVersion": kind.api_version, "kind": kind.kind},
        )

    return watch
