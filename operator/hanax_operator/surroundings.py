"""What is looked up beside the watched objects: storage classes, Secrets that models name, refused pods."""

from __future__ import annotations

from collections.abc import Iterable

from hanax.core.errors import FailedPrecondition
from hanax.core.resources.models import Model
from hanax_operator.api import Api
from hanax_operator.context import Surroundings
from hanax_operator.objects import EVENT, SECRET, STATEFUL_SET, Manifest, key, name_of


async def look_around(api: Api, models: Iterable[Model]) -> Surroundings:
    """Raises Unavailable. What the operator may not look at is unknown, not missing."""
    classes = await api.storage_classes()
    wanted: dict[str, set[str]] = {}
    for model in models:
        endpoint = model.spec.endpoint
        if endpoint is not None and (named := endpoint.auth_secret_ref) is not None:
            wanted.setdefault(named.name, set()).add(named.key)
    missing: set[str] = set()
    for name, keys in sorted(wanted.items()):
        try:
            secret = await api.get(key(SECRET, name))
        except FailedPrecondition:
            continue
        present = () if secret is None else (secret.get("data") or {}).keys()
        missing |= {f"{name}/{wanted_key}" for wanted_key in keys if wanted_key not in present}
    return Surroundings(
        storage_classes=None if classes is None else {name_of(found): _kept(found) for found in classes},
        missing_secrets=frozenset(missing),
        refused_pods=await _refused_pods(api),
    )


async def _refused_pods(api: Api) -> dict[str, str]:
    """Nothing but events tells that a pod is against a quota or a policy, or that its account is missing."""
    of_interest = {"involvedObject.kind": STATEFUL_SET.kind, "reason": "FailedCreate"}
    try:
        events = (await api.listing(EVENT, fields=of_interest)).objects
    except FailedPrecondition:
        return {}
    events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    return {event["involvedObject"]["name"]: event.get("message", "") for event in events}


def _kept(storage_class: Manifest) -> Manifest:
    """What reconciles ask of a class; the rest may change without waking anybody."""
    annotations = storage_class["metadata"].get("annotations") or {}
    return {
        "metadata": {"name": name_of(storage_class), "annotations": annotations},
        "allowVolumeExpansion": bool(storage_class.get("allowVolumeExpansion")),
    }
