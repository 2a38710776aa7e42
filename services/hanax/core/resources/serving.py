"""How an ExternalModel is run here."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from hanax.core.resources import model_rules as rules
from hanax.core.resources.collections import StorageClassName
from hanax.core.resources.manifests import SpecPart, checked_by
from hanax.core.resources.quantities import StorageSize
from hanax.core.resources.scheduling import Gpu, Resources

MAX_SERVING_REPLICAS: Final = 100


class Autoscaling(SpecPart):
    """As many pods as there is work for."""

    min: int = Field(1, ge=1, le=MAX_SERVING_REPLICAS, description="Pods at least.")
    max: int = Field(ge=1, le=MAX_SERVING_REPLICAS, description="Pods at most.")
    target_queue: int = Field(
        32, ge=1, le=100_000, description="Texts waiting in each pod, on average, past which pods are added."
    )

    model_config = ConfigDict(json_schema_extra=checked_by(rules.MIN_UP_TO_MAX))

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if problem := rules.problem_of_scaling(self):
            raise ValueError(problem)
        return self


class Cache(SpecPart):
    """A volume that keeps the model's files, so that a new pod does not fetch them again."""

    size: StorageSize = Field("10Gi", description="Size of the volume. It has to hold the model.")
    storage_class_name: StorageClassName | None = Field(
        None,
        description="The volume's storage class. More pods than one on several nodes need one that can be"
        " mounted by many. None given: what the operator is set to, or the cluster's default.",
    )

    model_config = ConfigDict(json_schema_extra=checked_by(rules.CACHE_GROWS, rules.CACHE_CLASS))


class Serve(SpecPart):
    """A model to run here, in embedder pods."""

    model: str = Field(
        min_length=1,
        max_length=512,
        pattern=r"^[^\s]+$",
        description="The model, by its name on the hub or by its path in the image or the cache.",
    )
    backend: Literal["onnx", "torch", "hash"] | None = Field(
        None,
        description="What computes: onnx (ONNX Runtime), torch (sentence-transformers), or hash"
        " (deterministic and without meaning, for trials). None given: torch on a GPU, else onnx.",
    )
    precision: Literal["float32", "bfloat16", "int8"] | None = Field(
        None,
        description="Of onnx on a CPU: int8 is faster, and its vectors a little different; bfloat16 needs"
        " AMX. None given: bfloat16 on processors with AMX where its vectors are those of float32 to a"
        " cosine of 0.9999, else float32.",
    )
    device: Literal["cpu", "cuda"] | None = Field(
        None, description="What it computes on. None given: cuda where gpu is given, else cpu."
    )
    gpu: Gpu | None = Field(None, description="GPUs of each pod, and the nodes that have them.")
    replicas: int = Field(
        1,
        ge=0,
        le=MAX_SERVING_REPLICAS,
        description="Pods. With 0 the model is not served. With autoscaling, leave it out.",
    )
    autoscaling: Autoscaling | None = Field(
        None, description="As many pods as there is work for, in place of replicas."
    )
    cache: Cache | None = Field(
        None, description="A volume for the model's files. None given: each pod fetches them anew."
    )
    resources: Resources | None = Field(None, description="CPU and memory of each pod.")

    model_config = ConfigDict(
        json_schema_extra=checked_by(
            rules.GPU_FOR_CUDA, rules.NO_GPU_FOR_CPU, rules.REPLICAS_OR_AUTOSCALING, rules.PRECISION_OF_ONNX
        )
    )

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if problem := rules.problem_of_serving(self):
            raise ValueError(problem)
        return self

    @property
    def on_gpu(self) -> bool:
        return self.gpu is not None
