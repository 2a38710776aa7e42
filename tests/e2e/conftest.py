"""The end-to-end scenario: run by HANAX_E2E=1 alone, in the order of its files and of the tests in them.

A test may be run alone too: fixtures make what it needs. The last file takes everything away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import points
from tests.e2e.clusters import Cluster, open_cluster
from tests.e2e.collections import FILMS, MODEL, collection
from tests.e2e.gateway import Gateway
from tests.e2e.kubectl import Kubectl, Refused
from tests.e2e.releases import Release, open_release, until_ready
from tests.e2e.waiting import until

# With an image to be built and a cluster to be made.
_LONGEST_S = 1_800

_TOLD = pytest.StashKey[list[str]]()
_KUBECTL = pytest.StashKey[Kubectl]()

Tell = Callable[[str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(_LONGEST_S))
            if not os.environ.get("HANAX_E2E"):
                item.add_marker(pytest.mark.skip(reason="needs HANAX_E2E=1 and a cluster"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A failure is told with the state of the cluster: it is gone afterwards."""
    report = yield
    kubectl = item.config.stash.get(_KUBECTL, None)
    if report.failed and kubectl is not None:
        for words in (
            ("get", "vc,xm,statefulsets,deployments,pods,pvc", "--output", "wide"),
            ("get", "events", "--sort-by=.lastTimestamp"),
            ("logs", "--selector=app.kubernetes.io/component=operator", "--prefix", "--tail=60"),
        ):
            try:
                report.sections.append((f"kubectl {' '.join(words[:2])}", kubectl.run(*words)))
            except Refused as refusal:
                report.sections.append((f"kubectl {' '.join(words[:2])}", str(refusal)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if told := config.stash.get(_TOLD, []):
        terminalreporter.section("measured")
        for line in told:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Tell:
    """Says what was measured, at the end of the run."""
    return pytestconfig.stash.setdefault(_TOLD, []).append


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with open_cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="session")
def installed(cluster: Cluster, pytestconfig: pytest.Config) -> Iterator[tuple[Release, float]]:
    """The release as helm left it, and the monotonic time at which that began.

    Apart from the wait for it, so that a wait in vain is told before all is taken away.
    """
    begun = time.monotonic()
    with open_release(cluster) as found:
        pytestconfig.stash[_KUBECTL] = found.kubectl
        yield found, begun
        del pytestconfig.stash[_KUBECTL]


@pytest.fixture(scope="session")
def release(installed: tuple[Release, float], tell: Tell) -> Release:
    """Every pod of it is ready."""
    found, begun = installed
    until(found.is_settled, "every pod of the release is ready", 300)
    tell(f"release: every pod ready {time.monotonic() - begun:.1f} s after helm install began")
    return found


@pytest.fixture(scope="session")
def kubectl(release: Release) -> Kubectl:
    return release.kubectl


@pytest.fixture
def gateway(release: Release) -> Iterator[Gateway]:
    with release.gateway() as found:
        yield found


@pytest.fixture(scope="session")
def films_ready_s(release: Release, tell: Tell) -> float:
    """The dedicated collection `films` of two shards, with points; seconds until it was Ready."""
    begun = time.monotonic()
    release.kubectl.apply(collection(FILMS, shards=2))
    release.kubectl.wait_ready("vectorcollection", FILMS, 90)
    seconds = time.monotonic() - begun
    tell(f"dedicated collection of two shards: Ready {seconds:.1f} s after its apply began")
    with release.gateway() as gateway:
        points.insert(gateway, FILMS, points.FIRST)
    return seconds


@pytest.fixture
def films(films_ready_s: float, kubectl: Kubectl) -> str:
    """Its name; Ready."""
    until_ready(kubectl, "vectorcollection", FILMS)
    return FILMS


@pytest.fixture(scope="session")
def model(release: Release, tell: Tell) -> str:
    """A model that the cluster serves: texts that share words are near, and nothing else is."""
    begun = time.monotonic()
    release.kubectl.apply(
        {
            "apiVersion": "vector.citadel-ai.com/v1alpha1",
            "kind": "ExternalModel",
            "metadata": {"name": MODEL},
            "spec": {"dimensions": 384, "serve": {"model": "hash-384", "backend": "hash"}},
        }
    )
    until_ready(release.kubectl, "externalmodel", MODEL)
    tell(f"served model: Ready {time.monotonic() - begun:.1f} s after its apply began")
    return MODEL
