"""Models whose pods go, and models elsewhere of which a place is away: texts are embedded all the while."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.e2e import points
from tests.e2e.collections import collection
from tests.e2e.gateway import Gateway
from tests.e2e.kubectl import Kubectl, condition_of, name_of
from tests.e2e.releases import NAME, Release, until_ready
from tests.e2e.waiting import until

_MIRROR = "mirror"
_NOBODY = "http://127.0.0.1:9/v1"
# Its files are in the image: nothing is fetched.
_REAL = "all-MiniLM-L6-v2"
_MEANT = {"kittens": "a cat sat on the mat", "earnings": "quarterly results of the company"}


def test_texts_are_embedded_while_pods_of_a_model_go(
    model: str, gateway: Gateway, kubectl: Kubectl, tell: Callable[[str], None]
) -> None:
    """One that is asked to end, and one that is killed at once."""
    kubectl.merge("externalmodel", model, {"spec": {"serve": {"replicas": 2}}})
    pods = f"vector.citadel-ai.com/model={model}"

    def both_ready() -> bool:
        found = [pod for pod in kubectl.list_of("pods", pods) if "deletionTimestamp" not in pod["metadata"]]
        return [condition_of(pod, "Ready").get("status") for pod in found] == ["True", "True"]

    until(both_ready, "the model has two pods")
    embedded = 0
    for way in (("--wait=false",), ("--grace-period=0", "--force")):
        victim = name_of(kubectl.list_of("pods", pods)[0])
        kubectl.run("delete", "pod", victim, *way)

        def is_replaced(gone: str = victim) -> bool:
            nonlocal embedded
            for _ in range(20):
                # Another text each time: those that are known are not sent to any pod.
                _embed(gateway, model, f"text {embedded}")
                embedded += 1
            return gone not in kubectl.names("pods", pods) and both_ready()

        until(is_replaced, f"{victim} is replaced")
    tell(f"2 pods of a model gone: {embedded} texts embedded meanwhile, none refused")
    kubectl.merge("externalmodel", model, {"spec": {"serve": {"replicas": 1}}})
    until_ready(kubectl, "externalmodel", model)


def test_a_model_elsewhere_is_ready_while_one_of_its_places_answers(
    model: str, gateway: Gateway, kubectl: Kubectl
) -> None:
    """The place that does is the gateway itself, which speaks as OpenAI's API does."""
    here = f"http://{NAME}-gateway.{kubectl.namespace}.svc/v1"
    endpoint = {
        "url": _NOBODY,
        "protocol": "openai",
        "model": model,
        "alternatives": [{"url": here}],
    }
    kubectl.apply(
        {
            "apiVersion": "vector.citadel-ai.com/v1alpha1",
            "kind": "ExternalModel",
            "metadata": {"name": _MIRROR},
            "spec": {"dimensions": 384, "endpoint": endpoint},
        }
    )
    found = until_ready(kubectl, "externalmodel", _MIRROR)
    told = {place["url"]: place["healthy"] for place in found["status"]["endpoints"]}
    assert told == {_NOBODY: False, here: True}
    degraded = condition_of(found, "Degraded")
    assert (degraded["status"], degraded["reason"]) == ("True", "EndpointUnhealthy")
    assert _NOBODY in degraded["message"]
    assert here not in degraded["message"]
    for number in range(6):
        text = f"a text of the mirror {number}"
        assert _embed(gateway, _MIRROR, text) == _embed(gateway, model, text)
    kubectl.delete("externalmodel", _MIRROR)


def test_texts_are_found_by_what_they_mean(
    release: Release, gateway: Gateway, kubectl: Kubectl, tell: Callable[[str], None]
) -> None:
    """And a pod that comes later finds on the volume what the first one made of the model."""
    if not release.cluster.embedder_image:
        pytest.skip("needs HANAX_E2E_EMBEDDER_IMAGE: the image `embedder`")
    begun = time.monotonic()
    serve = {"model": _REAL, "backend": "onnx", "cache": {"size": "1Gi"}}
    kubectl.apply(
        {
            "apiVersion": "vector.citadel-ai.com/v1alpha1",
            "kind": "ExternalModel",
            "metadata": {"name": "minilm"},
            "spec": {"dimensions": 384, "serve": serve},
        },
        collection("meant", dimensions=384, placement="shared", storage=None, embeddingModel="minilm"),
    )
    until_ready(kubectl, "externalmodel", "minilm", 300)
    tell(f"{_REAL} on a CPU: Ready {time.monotonic() - begun:.1f} s after its apply began")
    until_ready(kubectl, "vectorcollection", "meant")
    found = [{"id": text, "text": text} for text in _MEANT.values()]
    gateway.post("/vectors/insert", {"collection": "meant", "vectors": found})
    for asked, meant in _MEANT.items():
        assert points.nearest(gateway, "meant", text=asked)[0] == meant
    (pod,) = kubectl.list_of("pods", "vector.citadel-ai.com/model=minilm")
    begun = time.monotonic()
    kubectl.delete("pod", name_of(pod))
    until_ready(kubectl, "externalmodel", "minilm", 300)
    tell(f"{_REAL} on a CPU: Ready {time.monotonic() - begun:.1f} s after its pod's end began")
    assert points.nearest(gateway, "meant", text="a pet of hers")[0] == _MEANT["kittens"]
    kubectl.delete("vectorcollection", "meant")
    kubectl.delete("externalmodel", "minilm")


def _embed(gateway: Gateway, model: str, text: str) -> list[float]:
    """Raises Failed."""
    answer = gateway.post("/embeddings/generate", {"text": text, "model": model})
    (vector,) = answer["embeddings"]
    return [round(number, 5) for number in vector]
