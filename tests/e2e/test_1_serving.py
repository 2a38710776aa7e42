"""A release, a collection of its own pods, a model, and collections that the API declares."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from hanax.cli.connection import Access
from hanax.cli.demo.corpus import build_corpus
from hanax.cli.demo.indexing import Target, index_corpus
from tests.e2e import points
from tests.e2e.collections import collection, of
from tests.e2e.gateway import Failed, Gateway
from tests.e2e.kubectl import Kubectl, Refused, condition_of, is_ready
from tests.e2e.releases import NAME, POOL_PODS, Release, until_ready
from tests.e2e.waiting import until

_CORPUS = "python-docs"
_PATIENCE_S = 180
# Of the corpus: enough to go through several batches of every part, without a wait for the rest.
_EVERY = 8


def test_a_release_is_ready_and_one_operator_leads(release: Release) -> None:
    operators = {pod["metadata"]["name"] for pod in release.pods("operator")}
    assert len(operators) == 2
    assert release.leader() in operators
    assert len(release.pods("shard")) == POOL_PODS


def test_a_dedicated_collection_is_ready_soon_after_its_apply(
    films: str, films_ready_s: float, kubectl: Kubectl
) -> None:
    assert films_ready_s < 60
    found = kubectl.get("vectorcollection", films)
    assert is_ready(found)
    assert found["status"]["readyShards"] == "2/2"
    assert kubectl.names("pods", of(films)) == {f"vc-{films}-0-0", f"vc-{films}-1-0"}
    claims = kubectl.list_of("persistentvolumeclaims", of(films))
    assert {claim["status"]["phase"] for claim in claims} == {"Bound"}
    assert len(claims) == 2


def test_the_status_tells_where_a_collection_is_reached(films: str, kubectl: Kubectl) -> None:
    """From inside the cluster: any pod of it may ask, the operator's is one that has what it takes."""
    endpoint = kubectl.get("vectorcollection", films)["status"]["endpoint"]
    program = f"import urllib.request; print(urllib.request.urlopen({endpoint!r}, timeout=30).status)"
    assert kubectl.run("exec", f"deployment/{NAME}-operator", "--", "python", "-c", program) == "200\n"


def test_points_are_found_by_vector(films: str, gateway: Gateway) -> None:
    points.check(gateway, films, points.FIRST)
    for number in (0, 7, 199):
        assert points.nearest(gateway, films, vector=points.vector(number))[0] == number


def test_the_status_counts_the_points(films: str, gateway: Gateway, kubectl: Kubectl) -> None:
    wanted = points.count(gateway, films)

    def told() -> bool:
        return bool(kubectl.get("vectorcollection", films)["status"].get("points") == wanted)

    until(told, f"the status tells {wanted} points")


def test_texts_are_embedded_by_a_model_that_the_cluster_serves(
    model: str, gateway: Gateway, kubectl: Kubectl
) -> None:
    kubectl.apply(collection("notes", dimensions=384, embeddingModel=model))
    until_ready(kubectl, "vectorcollection", "notes")
    texts = {"cat": "a cat sat on the mat", "report": "quarterly results of the company"}
    found = [{"id": id_, "text": text} for id_, text in texts.items()]
    gateway.post("/vectors/insert", {"collection": "notes", "vectors": found})
    assert points.nearest(gateway, "notes", text="the mat of a cat")[0] == "cat"
    assert points.nearest(gateway, "notes", text="results of a quarter")[0] == "report"


async def test_a_collection_of_the_api_is_declared_on_the_pool_and_found_by_text(
    model: str, gateway: Gateway, kubectl: Kubectl, tell: Callable[[str], None]
) -> None:
    documents = build_corpus()[::_EVERY]
    async with Access(gateway.url).client(_PATIENCE_S) as client:
        await index_corpus(client, Target(_CORPUS, model, 384, 2), documents, lambda done, missing: None)
    tell(f"demo corpus: {len(documents)} texts indexed")
    declared = kubectl.get("vectorcollection", _CORPUS)
    assert declared["spec"]["placement"] == "shared"
    assert declared["spec"]["deletionPolicy"] == "Delete"
    assert declared["metadata"]["labels"]["vector.citadel-ai.com/created-by"] == "api"
    assert kubectl.names("pods", of(_CORPUS)) == set()
    until_ready(kubectl, "vectorcollection", _CORPUS)
    texts = [document.text for document in documents]
    alone = [document for document in documents if texts.count(document.text) == 1]
    for document in alone[:: len(alone) // 10]:
        assert points.nearest(gateway, _CORPUS, text=document.text)[0] == document.id


def test_a_collection_that_is_declared_is_known_to_the_api(films: str, gateway: Gateway) -> None:
    listed = {found["name"]: found for found in gateway.get("/collections")["collections"]}
    assert listed[films]["dimension"] == points.DIMENSION
    with pytest.raises(Failed) as failed:
        gateway.post("/collections", {"name": films, "dimension": 4})
    assert failed.value.code == "collection_exists"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"dimensions": 0}, "spec.dimensions"),
        ({"metric": "chebyshev"}, "spec.metric"),
        ({"shard": 2}, 'unknown field "(spec.)?shard"'),
        ({"replicas": 2}, "spec.replicas"),
        ({"placement": "shared"}, "spec.*storage"),
        ({"embeddingModel": "nobody"}, "there is no ExternalModel 'nobody' in this namespace"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_bad_spec_is_refused_by_name(kubectl: Kubectl, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        kubectl.apply(collection("bad", **spec))
    assert kubectl.find("vectorcollection", "bad") is None


def test_a_dimension_that_is_not_the_models_is_refused(kubectl: Kubectl, model: str) -> None:
    with pytest.raises(Refused, match=re.escape("spec.dimensions: expected 384")):
        kubectl.apply(collection("bad", embeddingModel=model))


def test_what_is_fixed_can_not_be_changed(films: str, kubectl: Kubectl) -> None:
    with pytest.raises(Refused, match="dimensions"):
        kubectl.merge("vectorcollection", films, {"spec": {"dimensions": 9}})
    with pytest.raises(Refused, match="shards"):
        kubectl.merge("vectorcollection", films, {"spec": {"shards": 3}})


def test_a_class_of_volumes_that_is_not_there_is_told(kubectl: Kubectl) -> None:
    storage = {"size": "1Gi", "storageClassName": "nobodys-class"}
    kubectl.apply(collection("homeless", storage=storage, deletionPolicy="Delete"))

    def told() -> bool:
        found = condition_of(kubectl.get("vectorcollection", "homeless"), "Ready")
        return found.get("reason") == "NoStorageClass" and "nobodys-class" in found["message"]

    until(told, "the condition names the class that is missing", _PATIENCE_S)
    kubectl.delete("vectorcollection", "homeless")
    assert kubectl.names("persistentvolumeclaims", of("homeless")) == set()
