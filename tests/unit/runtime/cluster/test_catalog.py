"""Collections as custom resources: declared once, changed beside others, gone with their aliases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from hanax.core.errors import (
    AliasExists,
    AliasNotFound,
    CollectionExists,
    CollectionHasAliases,
    CollectionNotFound,
    DataLoss,
    FailedPrecondition,
    HanaxError,
    Internal,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
)
from hanax.core.index_specs import AutoIndex, HnswIndex, ScalarQuantisation
from hanax.core.limits import MAX_ALIASES
from hanax.core.routing_config_map import ALIASES_KEY
from hanax.core.specs import CollectionSpec, PayloadIndex
from hanax.runtime.cluster import catalog as cluster_catalog
from hanax.runtime.cluster.api_server import ApiServer as Access
from hanax.runtime.cluster.catalog import ClusterCatalog
from tests.unit.runtime.cluster.api_server import ApiServer

ALIASES = "release-aliases"
KIND = "vectorcollections"


def spec(name: str, **more: Any) -> CollectionSpec:
    return CollectionSpec(name=name, **{"dimension": 4, **more})


def with_recall(share: float) -> Callable[[CollectionSpec], CollectionSpec]:
    return lambda known: known.model_copy(update={"target_recall": share})


def stored(api: ApiServer, name: str) -> dict[str, Any]:
    found = api.get(KIND, name)
    assert found is not None
    return found


@pytest.fixture
def catalog(api: ApiServer) -> Iterator[ClusterCatalog]:
    api.put("configmaps", ALIASES)
    with Access.find("").client() as client:
        yield ClusterCatalog(client, ALIASES)


FULL = spec(
    "docs",
    dimension=8,
    metric="dot",
    shards=3,
    embedding_model="mini",
    index=HnswIndex(m=8),
    quantisation=ScalarQuantisation(),
    target_recall=0.9,
    payload_indexes={"a.b": PayloadIndex.TEXT},
    ttl_seconds=60,
)


@pytest.mark.parametrize("wanted", [spec("docs"), FULL], ids=["least", "most"])
def test_a_declared_collection_is_a_shared_resource_of_the_api(
    api: ApiServer, catalog: ClusterCatalog, wanted: CollectionSpec
) -> None:
    made = catalog.create(wanted, now_us=1)
    assert (made.spec, made.generation, made.suspended, made.nodes) == (wanted, 1, False, None)
    obj = stored(api, "docs")
    assert made.uid == obj["metadata"]["uid"]
    assert obj["metadata"]["labels"] == {"vector.citadel-ai.com/created-by": "api"}
    assert (obj["spec"]["placement"], obj["spec"]["deletionPolicy"]) == ("shared", "Delete")
    assert catalog.entries() == [made]


def test_a_second_collection_of_the_name_is_refused(catalog: ClusterCatalog) -> None:
    first = catalog.create(spec("docs"), now_us=1)
    with pytest.raises(CollectionExists, match="'docs' exists already") as caught:
        catalog.create(spec("docs", dimension=8), now_us=2)
    assert caught.value.details == {"collection": "docs"}
    assert catalog.entries() == [first]


def test_a_name_is_free_when_its_collection_has_gone(api: ApiServer, catalog: ClusterCatalog) -> None:
    """Until then a finalizer holds it, and who creates it anew waits."""
    first = catalog.create(spec("docs"), now_us=1)
    obj = stored(api, "docs")
    api.put(KIND, "docs", spec=obj["spec"], metadata={**obj["metadata"], "finalizers": ["x/y"]})
    catalog.delete("docs", with_aliases=False)
    assert catalog.entries() == []
    with pytest.raises(CollectionNotFound):
        catalog.delete("docs", with_aliases=False)
    with pytest.raises(CollectionNotFound):
        catalog.update("docs", with_recall(0.9))
    leaving = threading.Timer(0.3, api.remove, (KIND, "docs"))
    leaving.start()
    second = catalog.create(spec("docs"), now_us=2)
    leaving.join()
    assert second.uid != first.uid


def test_a_change_touches_what_may_change_and_nothing_else(api: ApiServer, catalog: ClusterCatalog) -> None:
    api.put(
        KIND,
        "docs",
        spec={"dimensions": 8, "index": {"type": "hnsw", "efConstruction": 64}, "placement": "dedicated",
              "storage": {"size": "5Gi"}, "deletionPolicy": "Retain", "suspend": True},
    )  # fmt: skip
    before = stored(api, "docs")["metadata"]["uid"]
    changed = catalog.update(
        "docs", lambda known: known.model_copy(update={"index": AutoIndex(), "target_recall": 0.8})
    )
    assert (changed.uid, changed.generation, changed.suspended) == (before, 2, True)
    assert stored(api, "docs")["spec"] == {
        "dimensions": 8,
        "targetRecall": 0.8,
        "placement": "dedicated",
        "storage": {"size": "5Gi"},
        "deletionPolicy": "Retain",
        "suspend": True,
    }
    written = [method for method, _ in api.requests].count("PUT")
    assert catalog.update("docs", with_recall(0.8)) == changed
    assert [method for method, _ in api.requests].count("PUT") == written, "nothing changed"


def test_a_change_is_made_anew_when_another_came_between(api: ApiServer, catalog: ClusterCatalog) -> None:
    catalog.create(spec("docs"), now_us=1)

    def meanwhile() -> None:
        obj = stored(api, "docs")
        api.put(KIND, "docs", spec={**obj["spec"], "suspend": True})

    api.before_write = meanwhile
    entry = catalog.update("docs", with_recall(0.9))
    assert (entry.spec.target_recall, entry.suspended, entry.generation) == (0.9, True, 3)


def test_changes_at_once_are_all_counted(catalog: ClusterCatalog) -> None:
    catalog.create(spec("docs"), now_us=1)
    shares = [0.5 + number / 100 for number in range(6)]
    threads = [threading.Thread(target=catalog.update, args=("docs", with_recall(share))) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalog.entries()[0].generation == 1 + len(shares)


def test_a_race_that_is_always_lost_ends(
    api: ApiServer, catalog: ClusterCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_catalog, "_FIRST_PAUSE_S", 0.0)
    catalog.create(spec("docs"), now_us=1)

    def always() -> None:
        api.put(KIND, "docs", spec=stored(api, "docs")["spec"])
        api.before_write = always

    api.before_write = always
    with pytest.raises(Unavailable, match="again and again"):
        catalog.update("docs", with_recall(0.9))


def test_a_refused_change_changes_nothing(catalog: ClusterCatalog) -> None:
    made = catalog.create(spec("docs"), now_us=1)

    def refuse(known: CollectionSpec) -> CollectionSpec:
        raise InvalidArgument("no")

    with pytest.raises(InvalidArgument):
        catalog.update("docs", refuse)
    with pytest.raises(CollectionNotFound, match="no collection 'code'"):
        catalog.update("code", with_recall(0.9))
    assert catalog.entries() == [made]


def test_a_list_comes_in_pages_and_leaves_out_what_can_not_be_read(
    api: ApiServer, catalog: ClusterCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_catalog, "_PAGE", 3)
    for number in range(7):
        api.put(KIND, f"c{number}", spec={"dimensions": 4})
    api.put(KIND, "newer", spec={"dimensions": 4, "of-a-newer-version": 1})
    with capture_logs() as logs:
        names = [entry.spec.name for entry in catalog.entries()]
    assert names == [f"c{number}" for number in range(7)]
    assert [(entry["name"], "of-a-newer-version" in entry["error"]) for entry in logs] == [("newer", True)]
    assert len([path for _, path in api.requests if path.endswith(KIND)]) == 3
    monkeypatch.setattr(cluster_catalog, "MAX_COLLECTIONS", 7)
    with pytest.raises(ResourceExhausted, match="more than 7 collections"):
        catalog.entries()


REFUSALS: list[tuple[int, str, str, type[HanaxError], str]] = [
    (422, "Invalid", "spec.dimensions: too many", InvalidArgument, "too many"),
    (413, "RequestEntityTooLarge", "large", InvalidArgument, "large"),
    (
        403,
        "Forbidden",
        'admission webhook "c.hana-x" denied the request: spec.embeddingModel: no such model',
        InvalidArgument,
        "^spec.embeddingModel: no such model$",
    ),
    (403, "Forbidden", "cannot create", Internal, "does not allow it: cannot create"),
    (401, "Unauthorized", "who are you", Internal, "does not allow it"),
    (429, "TooManyRequests", "busy", Unavailable, "busy"),
    (500, "InternalError", "etcd", Unavailable, "etcd"),
    (504, "Timeout", "slow", Unavailable, "slow"),
]


@pytest.mark.parametrize(("status", "reason", "message", "error", "told"), REFUSALS)
def test_what_the_api_refuses_is_an_error_of_ours(
    api: ApiServer,
    catalog: ClusterCatalog,
    status: int,
    reason: str,
    message: str,
    error: type[HanaxError],
    told: str,
) -> None:
    catalog.create(spec("docs"), now_us=1)
    with api.refuses(status, reason, message):
        for call in (
            lambda: catalog.create(spec("code"), now_us=1),
            lambda: catalog.update("docs", with_recall(0.9)),
            lambda: catalog.delete("docs", with_aliases=True),
            catalog.entries,
            catalog.aliases,
        ):
            with pytest.raises(error, match=told):
                call()


def test_an_api_that_does_not_answer_is_unavailable(api: ApiServer, catalog: ClusterCatalog) -> None:
    api.close()
    with pytest.raises(Unavailable, match="listing the collections: the Kubernetes API can't be reached"):
        catalog.entries()


def test_without_a_cluster_there_is_no_way_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with pytest.raises(FailedPrecondition, match="no way to the Kubernetes API"):
        Access.find("")


class TestAliases:
    @pytest.fixture(autouse=True)
    def collections(self, catalog: ClusterCatalog) -> None:
        for name in ("a", "b"):
            catalog.create(spec(name), now_us=1)

    def test_they_change_together(self, catalog: ClusterCatalog) -> None:
        assert catalog.aliases().collection_by_alias == {}
        first = catalog.change_aliases({"live": "a", "next": "b"})
        assert (first.generation, first.collection_by_alias) == (1, {"live": "a", "next": "b"})
        swapped = catalog.change_aliases({"live": "next", "next": "live"})
        assert swapped.collection_by_alias == {"live": "b", "next": "a"}
        assert catalog.aliases() == swapped
        assert catalog.change_aliases({"live": "b"}) == swapped, "nothing changed"

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"live": "b", "b": "a"}, CollectionExists),
            ({"live": "b", "other": "missing"}, CollectionNotFound),
            ({"live": "b", "other": None}, AliasNotFound),
        ],
    )
    def test_a_refused_change_changes_nothing(
        self, catalog: ClusterCatalog, changes: dict[str, str | None], error: type[HanaxError]
    ) -> None:
        before = catalog.change_aliases({"live": "a"})
        with pytest.raises(error):
            catalog.change_aliases(changes)
        assert catalog.aliases() == before

    def test_there_are_not_more_than_a_table_can_carry(self, api: ApiServer, catalog: ClusterCatalog) -> None:
        full = ",".join(f'"x{number}": "a"' for number in range(MAX_ALIASES))
        data = {ALIASES_KEY: f'{{"generation": 1, "collection_by_alias": {{{full}}}}}'}
        api.put("configmaps", ALIASES, data=data)
        with pytest.raises(FailedPrecondition, match="at most 1000"):
            catalog.change_aliases({"one-more": "a"})

    def test_switches_at_once_are_all_counted(self, catalog: ClusterCatalog) -> None:
        threads = [
            threading.Thread(target=catalog.change_aliases, args=({f"alias-{number}": "a"},))
            for number in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        aliases = catalog.aliases()
        assert (aliases.generation, len(aliases.collection_by_alias)) == (6, 6)

    def test_a_collection_can_not_take_an_aliases_name(self, catalog: ClusterCatalog) -> None:
        catalog.change_aliases({"live": "a"})
        with pytest.raises(AliasExists, match="'live' is an alias, of collection 'a'"):
            catalog.create(spec("live"), now_us=2)

    def test_a_collection_goes_with_its_aliases_or_not_at_all(self, catalog: ClusterCatalog) -> None:
        catalog.change_aliases({"live": "a", "other": "a", "third": "b"})
        with pytest.raises(CollectionHasAliases, match="live, other"):
            catalog.delete("a", with_aliases=False)
        assert len(catalog.entries()) == 2
        catalog.delete("a", with_aliases=True)
        assert [entry.spec.name for entry in catalog.entries()] == ["b"]
        assert catalog.aliases().collection_by_alias == {"third": "b"}
        with pytest.raises(CollectionNotFound):
            catalog.delete("a", with_aliases=True)

    def test_what_the_config_map_holds_besides_stays(self, api: ApiServer, catalog: ClusterCatalog) -> None:
        api.put(
            "configmaps", ALIASES, data={"note": "by hand"}, metadata={"name": ALIASES, "labels": {"x": "y"}}
        )
        catalog.change_aliases({"live": "a"})
        kept = api.get("configmaps", ALIASES)
        assert kept is not None
        assert kept["data"]["note"] == "by hand"
        assert kept["metadata"]["labels"] == {"x": "y"}

    def test_damage_is_told_and_kept(self, api: ApiServer, catalog: ClusterCatalog) -> None:
        api.put("configmaps", ALIASES, data={ALIASES_KEY: "{"})
        for call in (catalog.aliases, lambda: catalog.change_aliases({"live": "a"})):
            with pytest.raises(DataLoss, match="does not hold aliases"):
                call()
        kept = api.get("configmaps", ALIASES)
        assert kept is not None
        assert kept["data"] == {ALIASES_KEY: "{"}

    def test_without_the_config_map_nothing_is_made_up(self, api: ApiServer, catalog: ClusterCatalog) -> None:
        api.remove("configmaps", ALIASES)
        with pytest.raises(HanaxError, match=f"reading the aliases: configmaps .{ALIASES}. not found"):
            catalog.aliases()
