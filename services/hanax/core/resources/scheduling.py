"""Where the pods of a custom resource run, and what they may use."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from hanax.core.resources.manifests import Rule, SpecPart, checked_by
from hanax.core.resources.quantities import Quantity, QuantityText, value_of

# Each rule of the API server has a budget, estimated for lists at their longest.
MAX_TOLERATIONS: Final = 32
MAX_SPREADS: Final = 8
MAX_NODE_LABELS: Final = 32
MAX_RESOURCES: Final = 16
MAX_GPUS: Final = 16

_LABEL_KEY: Final = r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
# Keys of maps may be of any length for the API server, which estimates what a rule may cost: it is short.
_LABEL_KEYS: Final = Rule(
    "self.all(key, size(key) <= 317 && key.matches('^([a-z0-9.-]+/)?[A-Za-z0-9._-]+$'))",
    "expected keys of labels, such as disk or topology.kubernetes.io/zone",
)
_RESOURCE_NAMES: Final = Rule(
    "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || name.startsWith('hugepages-')"
    " || name.contains('/'))",
    "expected cpu, memory, ephemeral-storage, hugepages-2Mi, or a name with a domain such as nvidia.com/gpu",
)
_NAMED: Final = frozenset({"cpu", "memory", "ephemeral-storage"})


def _checked_keys(labels: dict[str, str]) -> dict[str, str]:
    if not all(len(key) <= 317 and re.search(_LABEL_KEY, key) for key in labels):
        raise ValueError(_LABEL_KEYS.message)
    return labels


def _checked_names(amounts: dict[str, QuantityText]) -> dict[str, QuantityText]:
    if not all(name in _NAMED or name.startswith("hugepages-") or "/" in name for name in amounts):
        raise ValueError(_RESOURCE_NAMES.message)
    return amounts


LabelKey = Annotated[str, StringConstraints(pattern=_LABEL_KEY, max_length=317)]
LabelValue = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$", max_length=63)
]
NodeSelector = Annotated[
    dict[str, LabelValue],
    AfterValidator(_checked_keys),
    Field(max_length=MAX_NODE_LABELS, json_schema_extra=checked_by(_LABEL_KEYS)),
]
TopologyKey = Annotated[
    LabelKey,
    Field(description="The node label whose values are the places, such as topology.kubernetes.io/zone."),
]


class Toleration(SpecPart):
    """A taint of nodes that is put up with."""

    key: LabelKey | None = Field(
        None, description="The taint's key. None given: every key, with operator Exists."
    )
    operator: Literal["Equal", "Exists"] = Field(
        "Equal", description="Equal: the taint has this value. Exists: it has any value."
    )
    value: LabelValue | None = Field(None, description="The taint's value, with operator Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="The taint's effect. None given: every effect."
    )
    toleration_seconds: int | None = Field(
        None, ge=0, description="How long pods stay, with effect NoExecute. None given: for good."
    )

    model_config = ConfigDict(
        json_schema_extra=checked_by(
            Rule(
                "self.operator != 'Exists' || !has(self.value)", "value: operator Exists takes none", ".value"
            ),
            Rule("has(self.key) || self.operator == 'Exists'", "key: operator Equal needs one", ".key"),
            Rule(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "tolerationSeconds: only with effect NoExecute",
                ".tolerationSeconds",
            ),
        )
    )

    @model_validator(mode="after")
    def _is_one(self) -> Toleration:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("value: operator Exists takes none")
        if self.key is None and self.operator == "Equal":
            raise ValueError("key: operator Equal needs one")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("tolerationSeconds: only with effect NoExecute")
        return self


class TopologySpread(SpecPart):
    """How the pods of one collection are spread over places. Which pods are meant is not asked: its own."""

    topology_key: TopologyKey
    max_skew: int = Field(1, ge=1, le=100, description="Pods that one place may have more than another.")
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = Field(
        "ScheduleAnyway", description="Whether a pod waits when it would break the rule."
    )
    min_domains: int | None = Field(
        None, ge=1, le=1_000, description="Places that there should be, with DoNotSchedule."
    )

    model_config = ConfigDict(
        json_schema_extra=checked_by(
            Rule(
                "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
                "minDomains: only with whenUnsatisfiable DoNotSchedule",
                ".minDomains",
            )
        )
    )

    @model_validator(mode="after")
    def _is_one(self) -> TopologySpread:
        if self.min_domains is not None and self.when_unsatisfiable != "DoNotSchedule":
            raise ValueError("minDomains: only with whenUnsatisfiable DoNotSchedule")
        return self


ResourceList = Annotated[
    dict[str, Quantity],
    AfterValidator(_checked_names),
    Field(max_length=MAX_RESOURCES, json_schema_extra=checked_by(_RESOURCE_NAMES)),
]


def _within_limit(name: str) -> Rule:
    """A rule for each name: one for all of them may cost too much for the API server."""
    return Rule(
        f"!has(self.requests) || !has(self.limits) || !('{name}' in self.requests && '{name}' in self.limits)"
        f" || quantity(string(self.requests['{name}'])).compareTo("
        f"quantity(string(self.limits['{name}']))) <= 0",
        f"requests: {name} is above its limit",
        ".requests",
    )


class Resources(SpecPart):
    """What a pod is given of the node."""

    requests: ResourceList | None = Field(
        None, description="What is set aside for a pod: cpu, memory, ephemeral-storage."
    )
    limits: ResourceList | None = Field(
        None, description="What a pod may use at most. Memory for indexes follows limits.memory."
    )

    model_config = ConfigDict(
        json_schema_extra=checked_by(
            *(_within_limit(name) for name in ("cpu", "memory", "ephemeral-storage"))
        )
    )

    @model_validator(mode="after")
    def _requests_are_within_limits(self) -> Resources:
        limits = self.limits or {}
        for name, request in (self.requests or {}).items():
            if name in limits and value_of(request) > value_of(limits[name]):
                raise ValueError(f"requests: {name} of {request} is above its limit of {limits[name]}")
        return self


class Gpu(SpecPart):
    """GPUs of each pod, and the nodes that have them."""

    count: int = Field(1, ge=1, le=MAX_GPUS, description="GPUs of each pod.")
    resource_name: LabelKey = Field(
        "nvidia.com/gpu",
        description="What nodes call their GPUs: nvidia.com/gpu, nvidia.com/mig-1g.10gb, amd.com/gpu.",
    )
    node_selector: NodeSelector = Field(
        default_factory=dict, description="Labels that nodes with these GPUs have."
    )
    tolerations: tuple[Toleration, ...] = Field(
        (), max_length=MAX_TOLERATIONS, description="Taints of nodes with these GPUs."
    )
