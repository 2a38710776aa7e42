"""What an ExternalModel's spec may not be: as CEL rules for the API server, and as one check here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from hanax.core.resources.manifests import Rule, fixed_option

if TYPE_CHECKING:
    from hanax.core.resources.model_endpoints import Endpoint
    from hanax.core.resources.models import ExternalModelSpec
    from hanax.core.resources.serving import Autoscaling, Serve

# Reasons why a field is fixed.
VECTORS_GO_BY_IT: Final = "vectors of collections go by it; create another model"

ONE_OF: Final = Rule(
    "has(self.endpoint) != has(self.serve)",
    "expected exactly one of endpoint (a model that runs elsewhere) and serve (one to run here)",
)
GPU_FOR_CUDA: Final = Rule(
    "!has(self.device) || self.device != 'cuda' || has(self.gpu)",
    "gpu: device cuda needs one; expected gpu, such as {count: 1}",
    ".gpu",
)
NO_GPU_FOR_CPU: Final = Rule(
    "!has(self.device) || self.device != 'cpu' || !has(self.gpu)",
    "gpu: device cpu uses none; expected none, or device cuda",
    ".gpu",
)
REPLICAS_OR_AUTOSCALING: Final = Rule(
    "!has(self.autoscaling) || self.replicas == 1",
    "replicas: autoscaling decides; expected none, or no autoscaling",
    ".replicas",
)
CACHE_GROWS: Final = Rule(
    "quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
    "size: can only grow: volumes do not shrink; leave the cache out once, and its volume goes",
    ".size",
)
CACHE_CLASS: Final = fixed_option(
    "storageClassName", "the volume is there; leave the cache out once, and its volume goes"
)
MIN_UP_TO_MAX: Final = Rule("self.min <= self.max", "min: expected max at most", ".min")
URL_OF_GRPC: Final = Rule(
    "self.protocol != 'grpc' || self.url.matches('^grpcs?://')",
    "url: protocol grpc expects grpc://host:port or grpcs://host:port",
    ".url",
)
URL_OF_HTTP: Final = Rule(
    "self.protocol == 'grpc' || self.url.matches('^https?://')",
    "url: this protocol expects http:// or https://; protocol grpc takes grpc://",
    ".url",
)
ALTERNATIVES_ALIKE: Final = Rule(
    "!has(self.alternatives) || self.alternatives.all(other,"
    " other.url.matches('^grpcs?://') == (self.protocol == 'grpc'))",
    "alternatives: expected URLs of the same protocol as url",
    ".alternatives",
)
ALTERNATIVES_DIFFER: Final = Rule(
    "!has(self.alternatives) || self.alternatives.all(one, one.url != self.url"
    " && self.alternatives.exists_one(other, other.url == one.url))",
    "alternatives: expected each URL once",
    ".alternatives",
)
NO_PROMPTS_OF_GRPC: Final = Rule(
    "self.protocol != 'grpc' || !has(self.prompts)"
    " || (self.prompts.query == '' && self.prompts.document == '')",
    "prompts: not for grpc: an embedder knows its models' own",
    ".prompts",
)
PRECISION_OF_ONNX: Final = Rule(
    "!has(self.precision) || self.precision == 'float32'"
    " || (!has(self.gpu) && (!has(self.backend) || self.backend == 'onnx'))",
    "precision: bfloat16 and int8 expect backend onnx, and no gpu",
    ".precision",
)
_SECRET: Final = "(?i)^(authorization|proxy-authorization|api-key|x-api-key|cookie)$"
NO_SECRETS: Final = Rule(
    f"self.all(name, !name.matches('{_SECRET}'))",
    "headers: no secrets here; expected authSecretRef for them",
)
HEADER_NAMES: Final = Rule(
    "self.all(name, size(name) <= 128 && name.matches('^[A-Za-z0-9-]+$'))",
    "headers: expected names of letters, digits and '-', 128 at most",
)
_HEADER_NAME: Final = re.compile("[A-Za-z0-9-]{1,128}")


def problem_of_spec(spec: ExternalModelSpec) -> str:
    """Why there can't be such a model; empty when there can."""
    return ONE_OF.message if (spec.endpoint is None) == (spec.serve is None) else ""


def problem_of_serving(serve: Serve) -> str:
    if serve.device == "cuda" and serve.gpu is None:
        return GPU_FOR_CUDA.message
    if serve.device == "cpu" and serve.gpu is not None:
        return NO_GPU_FOR_CPU.message
    if serve.autoscaling is not None and serve.replicas != 1:
        return REPLICAS_OR_AUTOSCALING.message
    onnx = serve.gpu is None and serve.backend in (None, "onnx")
    if serve.precision not in (None, "float32") and not onnx:
        return PRECISION_OF_ONNX.message
    return ""


def problem_of_scaling(scaling: Autoscaling) -> str:
    return MIN_UP_TO_MAX.message if scaling.min > scaling.max else ""


def problem_of_endpoint(endpoint: Endpoint) -> str:
    if endpoint.protocol == "grpc" and not endpoint.url.startswith(("grpc://", "grpcs://")):
        return URL_OF_GRPC.message
    if endpoint.protocol != "grpc" and not endpoint.url.startswith(("http://", "https://")):
        return URL_OF_HTTP.message
    others = [other.url for other in endpoint.alternatives]
    if any(url.startswith("grpc") != (endpoint.protocol == "grpc") for url in others):
        return ALTERNATIVES_ALIKE.message
    if len({endpoint.url, *others}) <= len(others):
        return ALTERNATIVES_DIFFER.message
    if endpoint.protocol == "grpc" and (endpoint.prompts.query or endpoint.prompts.document):
        return NO_PROMPTS_OF_GRPC.message
    if any(re.search(_SECRET, name) for name in endpoint.headers):
        return NO_SECRETS.message
    if not all(_HEADER_NAME.fullmatch(name) for name in endpoint.headers):
        return HEADER_NAMES.message
    return ""
