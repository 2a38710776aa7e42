"""Affinity of pods to nodes and to other pods: Kubernetes' own fields, bounded and explained."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

from pydantic import ConfigDict, Field, model_validator

from hanax.core.resources.manifests import Rule, SpecPart, checked_by
from hanax.core.resources.scheduling import LabelKey, LabelValue, TopologyKey

MAX_TERMS: Final = 16
MAX_EXPRESSIONS: Final = 16
MAX_VALUES: Final = 64

LabelValues = Annotated[tuple[LabelValue, ...], Field(max_length=MAX_VALUES)]
Weight = Annotated[int, Field(ge=1, le=100, description="What the wish counts beside others.")]

_TAKES_VALUES: Final = Rule(
    "self.operator in ['Exists', 'DoesNotExist'] ? (!has(self.values) || size(self.values) == 0)"
    " : (has(self.values) && size(self.values) > 0)",
    "values: operators Exists and DoesNotExist take none, the others need some",
    ".values",
)


class LabelRequirement(SpecPart):
    """What a label has to be."""

    key: LabelKey = Field(description="The label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label is compared with the values."
    )
    values: LabelValues = Field((), description="For In and NotIn.")

    model_config = ConfigDict(json_schema_extra=checked_by(_TAKES_VALUES))

    @model_validator(mode="after")
    def _has_the_values_it_takes(self) -> LabelRequirement:
        return _checked_values(self)


class NodeRequirement(SpecPart):
    """What a label or field of a node has to be."""

    key: LabelKey = Field(description="The label, or the field.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(
        description="How it is compared with the values."
    )
    values: LabelValues = Field((), description="For In and NotIn; for Gt and Lt one integer.")

    model_config = ConfigDict(
        json_schema_extra=checked_by(
            _TAKES_VALUES,
            Rule(
                "!(self.operator in ['Gt', 'Lt']) || (has(self.values) && size(self.values) == 1)",
                "values: operators Gt and Lt take one",
                ".values",
            ),
        )
    )

    @model_validator(mode="after")
    def _has_the_values_it_takes(self) -> NodeRequirement:
        if self.operator in ("Gt", "Lt") and len(self.values) != 1:
            raise ValueError("values: operators Gt and Lt take one")
        return _checked_values(self)


Requirement = TypeVar("Requirement", LabelRequirement, NodeRequirement)


def _checked_values(part: Requirement) -> Requirement:
    if (part.operator in ("Exists", "DoesNotExist")) is bool(part.values):
        raise ValueError("values: operators Exists and DoesNotExist take none, the others need some")
    return part


Requirements = Annotated[tuple[NodeRequirement, ...], Field(max_length=MAX_EXPRESSIONS)]


class NodeTerm(SpecPart):
    """Requirements that all have to hold."""

    match_expressions: Requirements = Field((), description="Of the node's labels.")
    match_fields: Requirements = Field((), description="Of the node's fields: metadata.name.")


class NodeTerms(SpecPart):
    """Terms of which one has to hold."""

    node_selector_terms: tuple[NodeTerm, ...] = Field(
        min_length=1, max_length=MAX_TERMS, description="Terms of which one has to hold."
    )


class PreferredNodes(SpecPart):
    """A wish for nodes."""

    weight: Weight
    preference: NodeTerm = Field(description="The nodes that are wished for.")


class NodeAffinity(SpecPart):
    """Nodes that pods are drawn to."""

    required_during_scheduling_ignored_during_execution: NodeTerms | None = Field(
        None, description="Where pods may run at all."
    )
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredNodes, ...] = Field(
        (), max_length=MAX_TERMS, description="Where pods rather run."
    )


class LabelSelector(SpecPart):
    """Objects whose labels are as told; all that is told has to hold."""

    match_labels: dict[str, LabelValue] = Field(
        default_factory=dict, max_length=MAX_EXPRESSIONS, description="Labels and their values."
    )
    match_expressions: tuple[LabelRequirement, ...] = Field(
        (), max_length=MAX_EXPRESSIONS, description="Requirements of labels."
    )


class PodTerm(SpecPart):
    """Pods, and what is near to them."""

    topology_key: TopologyKey
    label_selector: LabelSelector | None = Field(None, description="The pods that are meant.")
    namespace_selector: LabelSelector | None = Field(
        None, description="The namespaces that are meant. With no namespaces told either: the pod's own."
    )
    namespaces: tuple[str, ...] = Field((), max_length=MAX_TERMS, description="Namespaces by name.")


class WeightedPodTerm(SpecPart):
    """A wish about other pods."""

    weight: Weight
    pod_affinity_term: PodTerm = Field(description="The pods, and what is near to them.")


class PodAffinity(SpecPart):
    """Other pods that pods are drawn to, or kept away from."""

    required_during_scheduling_ignored_during_execution: tuple[PodTerm, ...] = Field(
        (), max_length=MAX_TERMS, description="What has to hold when a pod is scheduled."
    )
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodTerm, ...] = Field(
        (), max_length=MAX_TERMS, description="What had better hold."
    )


class Affinity(SpecPart):
    """Where pods are drawn to, and what they keep away from."""

    node_affinity: NodeAffinity | None = Field(None, description="Nodes that pods are drawn to.")
    pod_affinity: PodAffinity | None = Field(None, description="Other pods that pods are drawn to.")
    pod_anti_affinity: PodAffinity | None = Field(
        None, description="Other pods that pods are kept away from."
    )
