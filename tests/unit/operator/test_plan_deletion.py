"""A collection leaves the table first, then its pods go, then its volumes: under Delete alone."""

from __future__ import annotations

from typing import Any

from hanax.core.resources.collections import Collection
from hanax_operator.objects import CLAIM, POD, STATEFUL_SET, Manifest, ObjectKey, key
from hanax_operator.plan.actions import Delete
from hanax_operator.plan.deletion import Leaving, plan_deletion
from tests.unit.operator.samples import child, collection, node_state, replica_state

GONE = "2026-01-02T00:00:00Z"


def leaving(policy: str, placement: str = "dedicated", **status: Any) -> Collection:
    spec = {"deletionPolicy": policy, "placement": placement}
    return collection("docs", spec, status, deletionTimestamp=GONE)


def claim(name: str = "data-vc-docs-0-0", **metadata: Any) -> tuple[ObjectKey, Manifest]:
    return key(CLAIM, name), child("PersistentVolumeClaim", name, metadata=metadata)


def seen(*objects: tuple[ObjectKey, Manifest], is_routed: bool = False, **pool: Any) -> Leaving:
    return Leaving(is_routed=is_routed, left_at=5, live=dict(objects), pool=pool)


def test_nothing_goes_while_the_table_names_it() -> None:
    workload = Delete(key(STATEFUL_SET, "vc-docs-0"), "u", "no longer wanted")
    deletion = plan_deletion(leaving("Delete"), seen(claim(), is_routed=True), [workload])
    assert list(deletion.actions) == []
    assert "routing table" in deletion.waiting


def test_workloads_go_before_volumes() -> None:
    workload = Delete(key(STATEFUL_SET, "vc-docs-0"), "u", "no longer wanted")
    deletion = plan_deletion(leaving("Delete"), seen(claim()), [workload])
    assert list(deletion.actions) == [workload]
    assert deletion.waiting


def test_volumes_wait_for_pods() -> None:
    pod = (key(POD, "vc-docs-0-0"), child("Pod", "vc-docs-0-0"))
    deletion = plan_deletion(leaving("Delete"), seen(claim(), pod), [])
    assert list(deletion.actions) == []
    assert deletion.waiting == "vc-docs-0-0 still there"


def test_under_delete_volumes_go_and_are_waited_for() -> None:
    found = claim()
    deletion = plan_deletion(leaving("Delete"), seen(found), [])
    assert list(deletion.actions) == [
        Delete(found[0], found[1]["metadata"]["uid"], "deletionPolicy is Delete")
    ]
    assert deletion.waiting
    again = plan_deletion(leaving("Delete"), seen(claim(deletionTimestamp=GONE)), [])
    assert list(again.actions) == []
    assert again.waiting
    assert plan_deletion(leaving("Delete"), seen(), []).waiting == ""


def test_under_retain_volumes_stay_and_it_is_told_where() -> None:
    deletion = plan_deletion(leaving("Retain"), seen(claim()), [])
    assert (list(deletion.actions), deletion.waiting) == ([], "")
    assert deletion.kept == "the data is kept on claims data-vc-docs-0-0, in the folder of uid uid-docs"


def test_a_volume_of_an_earlier_collection_stays_even_under_delete() -> None:
    older = claim(creationTimestamp="2025-12-31T00:00:00Z")
    deletion = plan_deletion(leaving("Delete"), seen(older), [])
    assert (list(deletion.actions), deletion.waiting) == ([], "")
    assert "data-vc-docs-0-0" in deletion.kept


def test_a_shared_one_waits_until_every_node_that_answers_has_dropped_it() -> None:
    declared = leaving("Delete", "shared")
    holds = node_state("p-0", replica_state(declared), revision=9)
    behind = node_state("p-1", revision=4)
    done = node_state("p-2", revision=5)
    waiting = plan_deletion(declared, seen(a=holds, b=behind, c=done), [])
    assert waiting.waiting == "a, b still has its data"
    assert plan_deletion(declared, seen(c=done), []).waiting == ""
    assert plan_deletion(declared, seen(), []).waiting == ""


def test_a_shared_one_under_retain_goes_at_once_and_tells_where_the_data_is() -> None:
    declared = leaving("Retain", "shared", shards=[{"shard": 0, "pods": ["p-1"]}])
    deletion = plan_deletion(declared, seen(a=node_state("p-1", replica_state(declared))), [])
    assert (list(deletion.actions), deletion.waiting) == ([], "")
    assert "kept on p-1" in deletion.kept
