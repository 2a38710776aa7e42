"""With how many pods a model starts whose autoscaler decides on them.

The Deployment that is wanted then names no number. A field that a manager stops naming goes back to its
default, unless somebody else owns it: so the number is applied under a name of its own, which names nothing
else, and loses it to the autoscaler when that first decides. After Kubernetes' documentation of server-side
apply, "Transferring ownership".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hanax.core.resources.models import Model
from hanax.core.resources.names import FIELD_MANAGER
from hanax_operator.build.names import model_object_name
from hanax_operator.objects import DEPLOYMENT, Manifest, ObjectKey, is_deleting, key, uid_of
from hanax_operator.ownership import has_applied, is_owned_beside
from hanax_operator.plan.actions import Apply

STARTER: Final = f"{FIELD_MANAGER}-start"

_REPLICAS: Final = ("spec", "replicas")


def plan_start(model: Model, live: Mapping[ObjectKey, Manifest]) -> list[Apply]:
    """To be carried out before the Deployment itself is applied; one that is not there yet comes first.

    A number that was ours is handed over as it is; the server's default, nobody's as yet, is raised to what
    the autoscaler begins with. Whoever sets another one meanwhile makes that a conflict. Once it is somebody
    else's, it is left alone; but for 0, at which autoscalers are off.
    """
    serve = model.spec.serve
    if serve is None or serve.autoscaling is None:
        return []
    workload = key(DEPLOYMENT, model_object_name(model.name))
    found = live.get(workload)
    if found is None or is_deleting(found):
        return []
    now = int(found["spec"].get("replicas", 1))
    metadata = {"name": workload.name, "uid": uid_of(found)}
    if now == 0:
        wanted = serve.autoscaling.min
        # It is taken from its owner, whoever that is; so not if it was written since.
        metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
    elif is_owned_beside(found, FIELD_MANAGER, _REPLICAS):
        return []
    elif has_applied(found, FIELD_MANAGER, _REPLICAS):
        wanted = now
    elif now < serve.autoscaling.min:
        wanted = serve.autoscaling.min
    else:
        return []
    manifest = {
        "apiVersion": workload.api_version,
        "kind": workload.kind,
        "metadata": metadata,
        "spec": {"replicas": wanted},
    }
    why = f"{wanted} pods, then its autoscaler decides"
    return [Apply(workload, manifest, why, manager=STARTER, force=now == 0)]
