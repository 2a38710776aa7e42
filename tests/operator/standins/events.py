"""Events that controllers write about objects, one for each object and reason."""

from __future__ import annotations

import datetime
from typing import Any

from tests.operator.api import Api
from tests.operator.standins import workloads

Obj = dict[str, Any]


async def tell(api: Api, obj: Obj, reason: str, message: str) -> None:
    metadata = obj["metadata"]
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{metadata['uid'][:8]}.{reason.lower()}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": obj.get("apiVersion", "v1"),
            "kind": obj["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "reason": reason,
        "message": message,
        "type": "Warning",
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "source": {"component": "standin"},
    }
    await workloads.create(api, body, metadata["namespace"])
