"""What leads from the children that there are to those that are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hanax.core.resources.names import FIELD_MANAGER
from hanax_operator.build.restarts import restart_reasons
from hanax_operator.comparison import differences
from hanax_operator.objects import STATEFUL_SET, Manifest, ObjectKey, is_deleting, uid_of
from hanax_operator.plan.actions import Action, Apply, Delete
from hanax_operator.status import is_rolled_out

# So many paths tell why an object is written; more say no more.
_TOLD_PATHS = 5


def plan_children(
    wanted: Mapping[ObjectKey, Manifest | None], live: Mapping[ObjectKey, Manifest]
) -> list[Apply | Delete]:
    """None in `wanted`: must not exist. An object on its way out is left alone until it is gone."""
    actions: list[Apply | Delete] = []
    for key, manifest in wanted.items():
        found = live.get(key)
        if found is not None and is_deleting(found):
            continue
        if manifest is None:
            if found is not None:
                actions.append(Delete(key, uid_of(found), "no longer wanted"))
        elif found is None:
            actions.append(Apply(key, manifest, "missing"))
        elif different := differences(manifest, found, FIELD_MANAGER):
            actions.append(Apply(key, manifest, told(different)))
    return actions


def told(different: Sequence[str]) -> str:
    """The reason of a write, from the paths that differ."""
    more = ", ..." if len(different) > _TOLD_PATHS else ""
    return f"differs in {', '.join(different[:_TOLD_PATHS])}{more}"


def one_restart_at_a_time(
    actions: Sequence[Action], live: Mapping[ObjectKey, Manifest]
) -> tuple[list[Action], list[str]]:
    """Hold back what would restart pods of a shard while another shard of the collection is away.

    Returns the actions to carry out now, and for those held back what they wait for. A shard that has no
    ready pod is never held back: there is nothing to lose, and the change may be its cure.
    """
    away = {
        key
        for key, workload in live.items()
        if key.kind == STATEFUL_SET.kind and not (is_rolled_out(workload) and _is_ready(workload))
    }
    now: list[Action] = []
    held: list[str] = []
    for action in actions:
        found = live.get(action.key)
        restarts = (
            restart_reasons(found, action.manifest)
            if isinstance(action, Apply) and action.key.kind == STATEFUL_SET.kind and found is not None
            else ()
        )
        if not restarts or found is None or not _serves(found):
            now.append(action)
        elif others := sorted(key.name for key in away - {action.key}):
            held.append(
                f"{action.key} waits for {', '.join(others)}: it restarts for {', '.join(restarts[:3])}"
            )
        else:
            now.append(action)
            away.add(action.key)
    return now, held


def _is_ready(workload: Manifest) -> bool:
    status = workload.get("status") or {}
    return int(status.get("readyReplicas", 0)) >= int(workload["spec"].get("replicas", 1))


def _serves(workload: Manifest) -> bool:
    return int((workload.get("status") or {}).get("readyReplicas", 0)) > 0
