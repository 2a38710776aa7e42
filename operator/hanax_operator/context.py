"""What every reconcile works with. Made once, by `main`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hanax_operator.api import Api
from hanax_operator.apply import Applier
from hanax_operator.declarations import Declarations
from hanax_operator.events import Events
from hanax_operator.nodes import NodeStates
from hanax_operator.objects import Manifest, ObjectKey
from hanax_operator.probes import Probes
from hanax_operator.queue import WorkQueue
from hanax_operator.release import Release
from hanax_operator.store import Store


@dataclass(frozen=True)
class Surroundings:
    """What is looked up beside the watched objects, now and then.

    storage_classes: by name, None: unknown. missing_secrets: as `name/key`. refused_pods: why pods could not
    be made in the last hour, by StatefulSet.
    """

    storage_classes: Mapping[str, Manifest] | None = None
    missing_secrets: frozenset[str] = frozenset()
    refused_pods: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Context:
    """`surroundings` is replaced as a whole. `now_us`: time of day."""

    release: Release
    api: Api
    store: Store
    declarations: Declarations
    applier: Applier
    events: Events
    nodes: NodeStates
    probes: Probes
    queue: WorkQueue[ObjectKey]
    now_us: Callable[[], int]
    clock_s: Callable[[], float]
    surroundings: Surroundings = field(default_factory=Surroundings)
