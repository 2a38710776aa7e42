"""Conditions of custom resources: what is true of an object, since when, and why."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from hanax.core.resources.manifests import StatusPart


class Phase(StrEnum):
    """One word for people. Programs read the conditions."""

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    READY = "Ready"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    DELETING = "Deleting"


class ConditionType(StrEnum):
    READY = "Ready"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"


class Reason(StrEnum):
    """Why a condition is what it is. Part of the interface: people and programs match on them."""

    # it goes well
    SERVING = "Serving"
    SETTLED = "Settled"
    HEALTHY = "Healthy"
    # on the way
    RECONCILING = "Reconciling"
    CREATING_PODS = "CreatingPods"
    PODS_NOT_READY = "PodsNotReady"
    SHARDS_NOT_OPEN = "ShardsNotOpen"
    ROLLING_UPDATE = "RollingUpdate"
    GROWING_VOLUMES = "GrowingVolumes"
    DELETING = "Deleting"
    # as asked for
    SUSPENDED = "Suspended"
    PAUSED = "Paused"
    # what was asked for can't be
    INVALID_SPEC = "InvalidSpec"
    NAME_TAKEN = "NameTaken"
    MODEL_UNKNOWN = "ModelUnknown"
    DIMENSION_MISMATCH = "DimensionMismatch"
    SECRET_MISSING = "SecretMissing"
    NO_STORAGE_CLASS = "NoStorageClass"
    STORAGE_CLASS_CANNOT_GROW = "StorageClassCannotGrow"
    POOL_TOO_SMALL = "PoolTooSmall"
    ROUTING_TABLE_TOO_LARGE = "RoutingTableTooLarge"
    # something fails
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    POD_FAILED = "PodFailed"
    SHARD_FAILED = "ShardFailed"
    VOLUME_PENDING = "VolumePending"
    ENDPOINT_UNHEALTHY = "EndpointUnhealthy"
    APPLY_FAILED = "ApplyFailed"


class Condition(StatusPart):
    type: str = Field(min_length=1, max_length=316, description="What the condition is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    reason: str = Field(
        min_length=1,
        max_length=1_024,
        pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        description="Why, in one word for programs.",
    )
    message: str = Field("", max_length=32_768, description="Why, in a sentence for people.")
    observed_generation: int = Field(
        0, ge=0, description="The metadata.generation that the condition was told of."
    )
    last_transition_time: str = Field(
        json_schema_extra={"format": "date-time"}, description="Since when the status is what it is."
    )


def set_condition(conditions: Iterable[Condition], condition: Condition) -> tuple[Condition, ...]:
    """The conditions with this one in the place of its type, at the end if there was none.

    lastTransitionTime stays what it was where the status did not change.
    """
    result = list(conditions)
    for place, old in enumerate(result):
        if old.type == condition.type:
            if old.status == condition.status:
                condition = condition.model_copy(update={"last_transition_time": old.last_transition_time})
            result[place] = condition
            return tuple(result)
    return (*result, condition)


def condition_of(conditions: Iterable[Condition], kind: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == kind), None)


def timestamp(instant_us: int) -> str:
    """The instant as Kubernetes writes times: RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(instant_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
