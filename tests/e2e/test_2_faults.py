"""Pods that are killed, and objects that someone deletes: nothing that was acknowledged is lost."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from tests.e2e import points
from tests.e2e.collections import collection, of
from tests.e2e.gateway import Gateway
from tests.e2e.kubectl import Kubectl, uid_of
from tests.e2e.releases import Release, until_ready
from tests.e2e.waiting import until
from tests.e2e.writers import Writer

_ROUNDS = 6
# How a pod goes: asked to end, asked and killed a second later, and killed at once.
_WAYS = (("--wait=false",), ("--grace-period=1", "--wait=false"), ("--grace-period=0", "--force"))
_FROM = 1_000_000


def test_no_acknowledged_write_is_lost_when_shards_are_killed(
    films: str, gateway: Gateway, kubectl: Kubectl, tell: Callable[[str], None]
) -> None:
    before = points.count(gateway, films)
    with Writer(gateway, films, _FROM) as writer:
        for round_, way in zip(range(_ROUNDS), itertools.cycle(_WAYS), strict=False):
            _kill(kubectl, f"vc-{films}-{round_ % 2}-0", way)
            until_ready(kubectl, "vectorcollection", films)
            _await_writes(writer)
    tell(
        f"{_ROUNDS} kills of shards: {len(writer.acknowledged)} points acknowledged, "
        f"{len(writer.refusals)} refusals ({', '.join(sorted(set(writer.refusals)))}), "
        f"none for longer than {writer.longest_s:.1f} s"
    )
    points.check(gateway, films, [*points.FIRST, *writer.acknowledged])
    # And what was not acknowledged is at most the batch that the writer was stopped in.
    assert 0 <= points.count(gateway, films) - before - len(writer.acknowledged) <= 10


def test_a_deleted_stateful_set_comes_back_with_its_data(
    films: str, gateway: Gateway, kubectl: Kubectl
) -> None:
    name = f"vc-{films}-0"
    before = uid_of(kubectl.get("statefulset", name))
    kubectl.delete("statefulset", name)

    def is_back() -> bool:
        found = kubectl.find("statefulset", name)
        return found is not None and uid_of(found) != before

    until(is_back, f"StatefulSet {name} is made again")
    until_ready(kubectl, "vectorcollection", films)
    points.check(gateway, films, points.FIRST)


def test_a_create_goes_on_when_the_operator_is_killed(
    release: Release, kubectl: Kubectl, tell: Callable[[str], None]
) -> None:
    for number in range(3):
        name = f"begun-{number}"
        leader = release.leader()
        kubectl.apply(collection(name, deletionPolicy="Delete"))
        if number:
            _await_stateful_sets(kubectl, name)
        kubectl.run("delete", "pod", leader, "--grace-period=0", "--force")
        until_ready(kubectl, "vectorcollection", name, 300)
        until(release.is_settled, "the operator is back")
    kubectl.delete("vectorcollection", "begun-0", "begun-1", "begun-2")
    assert kubectl.names("persistentvolumeclaims", of("begun-1")) == set()
    tell("3 creates during which the leading operator was killed: all Ready")


def _kill(kubectl: Kubectl, pod: str, way: tuple[str, ...]) -> None:
    """Returns when another one is made in its place."""
    killed = uid_of(kubectl.get("pod", pod))
    kubectl.run("delete", "pod", pod, *way)

    def is_replaced() -> bool:
        found = kubectl.find("pod", pod)
        return found is not None and uid_of(found) != killed

    until(is_replaced, f"{pod} is replaced")


def _await_writes(writer: Writer) -> None:
    done = len(writer.acknowledged)
    until(lambda: len(writer.acknowledged) > done + 20, "writes go on")


def _await_stateful_sets(kubectl: Kubectl, name: str) -> None:
    until(lambda: kubectl.list_of("statefulsets", of(name)), f"{name} is begun")
