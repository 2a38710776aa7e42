"""Names of what is built for a collection or a model."""

from __future__ import annotations

import hashlib
from typing import Final

from hanax.core.resources.collections import Collection

# A StatefulSet's pods carry a label of its name and eleven more characters, and a label has 63.
_STATEFUL_SET: Final = 52
# A part of a name in DNS.
_DNS_LABEL: Final = 63

_DIGEST: Final = 8

# Of index-shards' pods. Part of the names of their claims, so that it can't change.
DATA_VOLUME: Final = "data"


def stateful_set_name(collection: str, shard: int) -> str:
    return _within(f"vc-{collection}-{shard}", _STATEFUL_SET)


def collection_service_name(collection: str) -> str:
    return _within(f"vc-{collection}", _DNS_LABEL)


def pod_name(collection: str, shard: int, replica: int) -> str:
    """Also the name of the node in the routing table."""
    return f"{stateful_set_name(collection, shard)}-{replica}"


def claim_name(collection: str, shard: int, replica: int) -> str:
    """Of the volume that the StatefulSet makes for a pod."""
    return f"{DATA_VOLUME}-{pod_name(collection, shard, replica)}"


def model_object_name(model: str) -> str:
    """Of all that a served model is made of. Its own name may hold dots, which a Service's may not."""
    return _within(f"xm-{model}", _DNS_LABEL)


def cache_name(model: str) -> str:
    return f"{model_object_name(model)}-cache"


def service_address(service: str, namespace: str, domain: str, port: int) -> str:
    return f"{service}.{namespace}.svc.{domain}:{port}"


def shard_address(pod: str, collection: Collection, domain: str, port: int) -> str:
    service = collection_service_name(collection.name)
    return f"{pod}.{service_address(service, collection.namespace, domain, port)}"


def _within(name: str, limit: int) -> str:
    """The name as a DNS label of that length. One that does not fit ends in a hash of the whole of it."""
    if len(name) <= limit and "." not in name:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name.replace('.', '-')[: limit - _DIGEST - 1].rstrip('-')}-{digest}"
