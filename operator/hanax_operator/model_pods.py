"""At which pods gateways are to reach each served model.

Every change of them is a new routing table for the whole cluster. So a pod that becomes ready and unready
over and over, as one does that crashes, changes a model's addresses at most once in HOLD_S; gateways pass by
an address that does not answer. A pod that is ending or gone leaves at once, for another one may get its
address, and whatever waits comes in with it. So it does when nobody who is told of would answer.

A model of which no pod is ready keeps those that it has for as long as they exist: they may be back under
the same addresses, and nobody else is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hanax.core.resources.names import MODEL_LABEL
from hanax_operator.objects import Manifest, is_deleting, labels_of

# A pod that is added waits so long for its first requests, if another change came shortly before.
HOLD_S: Final = 5.0

# Of pods that ended; their addresses are given to others.
_ENDED: Final = frozenset({"Failed", "Succeeded"})


@dataclass(frozen=True)
class Addresses:
    """IP addresses in order, by model. again_s: when to ask again, because a change was held back."""

    by_model: Mapping[str, tuple[str, ...]]
    again_s: float | None


@dataclass(frozen=True)
class _Told:
    addresses: frozenset[str]
    since_s: float


@dataclass(frozen=True)
class _Found:
    """Addresses of pods that are not ending, and of those of them that take requests."""

    living: frozenset[str]
    ready: frozenset[str]


class ModelPods:
    """Knows of the models that have pods, and no others. `clock_s` is monotonic."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._told: dict[str, _Told] = {}

    def addresses(self, pods: Iterable[Manifest]) -> Addresses:
        """What to tell gateways now. `pods`: all that there are."""
        now = self._clock_s()
        again: list[float] = []
        told: dict[str, _Told] = {}
        for name, found in _by_model(pods).items():
            before = self._told.get(name, _Told(frozenset(), 0.0))
            wanted = found.ready or before.addresses & found.living
            if wanted == before.addresses:
                told[name] = before
            elif now >= before.since_s + HOLD_S or _is_pressing(before.addresses, found):
                told[name] = _Told(wanted, now)
            else:
                told[name] = before
                again.append(before.since_s + HOLD_S - now)
        self._told = told
        by_model = {name: tuple(sorted(one.addresses)) for name, one in told.items() if one.addresses}
        return Addresses(by_model, min(again, default=None))


def _is_pressing(told: frozenset[str], found: _Found) -> bool:
    return not told <= found.living or not told & found.ready


def _by_model(pods: Iterable[Manifest]) -> dict[str, _Found]:
    living: dict[str, set[str]] = {}
    ready: dict[str, set[str]] = {}
    for pod in pods:
        model, status = labels_of(pod).get(MODEL_LABEL), pod.get("status") or {}
        address = status.get("podIP")
        if model is None or not address or is_deleting(pod) or status.get("phase") in _ENDED:
            continue
        living.setdefault(model, set()).add(address)
        if _is_ready(status):
            ready.setdefault(model, set()).add(address)
    return {
        model: _Found(frozenset(addresses), frozenset(ready.get(model, ())))
        for model, addresses in living.items()
    }


def _is_ready(status: Mapping[str, Any]) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in status.get("conditions") or ()
    )
