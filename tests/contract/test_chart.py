"""The chart: it lints, renders to the goldens, and what it renders is what Kubernetes takes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

import hanax
from tests.contract.chart.rendering import (
    CASES,
    CHART,
    NAMESPACE,
    RELEASE,
    ROOT,
    Manifest,
    case_manifests,
    case_names,
    case_values,
    containers,
    find,
    golden_text,
    manifests_of,
    pod_templates,
    render_files,
)

# The oldest that Chart.yaml names, and the newest whose schemas are at hand.
KUBERNETES = ("1.30", kubernetes_validate.latest_version())

# Custom resources of others; their schemas are not Kubernetes'.
FOREIGN = {"PodMonitor", "PrometheusRule", "Certificate"}


@pytest.mark.parametrize("case", case_names())
def test_the_chart_lints(case: str) -> None:
    report = helm.lint(CHART, case_values(case), strict=True, namespace=NAMESPACE)
    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("case", case_names())
def test_it_renders_to_the_golden(case: str) -> None:
    assert golden_text(case) == (CASES / f"{case}.yaml").read_text(), (
        "run `make gen` and look at the difference"
    )


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("case", case_names())
def test_kubernetes_takes_every_object(case: str, version: str) -> None:
    for manifest in case_manifests(case):
        if manifest["kind"] not in FOREIGN:
            kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("case", case_names())
def test_no_object_comes_twice_and_all_stay_in_their_namespace(case: str) -> None:
    manifests = case_manifests(case)
    names = Counter((manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests)
    assert {name: count for name, count in names.items() if count > 1} == {}
    for manifest in manifests:
        assert manifest["metadata"].get("namespace", NAMESPACE) == NAMESPACE
        # The operator watches by this label.
        assert manifest["metadata"]["labels"]["app.kubernetes.io/name"] == "hana-x-vector"


@pytest.mark.parametrize("case", case_names())
def test_what_selects_pods_selects_the_pods_it_means(case: str) -> None:
    """Services, budgets and monitors find a pod template of the chart, or mean pods of the operator."""
    manifests = case_manifests(case)
    templates = dict(pod_templates(manifests))
    for manifest in manifests:
        spec = manifest.get("spec", {})
        ports: set[Any] = set()
        match manifest["kind"]:
            case "Service":
                selector = spec["selector"]
                ports = {port["targetPort"] for port in spec["ports"]}
            case "PodDisruptionBudget":
                selector = spec["selector"]["matchLabels"]
            case "PodMonitor":
                selector = spec["selector"]["matchLabels"]
                ports = {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]}
            case "NetworkPolicy":
                selector = spec["podSelector"]["matchLabels"]
                ports = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
            case _:
                continue
        chosen = [
            (owner, template)
            for owner, template in templates.items()
            if selector.items() <= template["metadata"]["labels"].items()
        ]
        component = selector["app.kubernetes.io/component"]
        if not chosen:
            assert component == "embedder" or (component == "shard" and case == "small"), manifest["metadata"]
        for owner, template in chosen:
            assert template["metadata"]["labels"]["app.kubernetes.io/component"] == component, owner
            there = {
                port[key]
                for container in containers(template)
                for port in container["ports"]
                for key in ("name", "containerPort")
            }
            assert ports <= there, (manifest["metadata"]["name"], owner)


def test_versions_agree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == chart["version"] == hanax.__version__


def test_the_custom_resources_are_those_of_the_repository() -> None:
    """helm installs what lies in the chart's crds/, as it is."""
    ours = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    with helm.Chart.load(CHART) as chart:
        shipped = {Path(found["filename"]).name: found["data"] for found in chart.crds}
    assert ours
    assert shipped == ours


def upgraded(chart: Path, folder: Path, **fields: str) -> Path:
    """A copy of the chart with other fields in Chart.yaml."""
    with helm.Chart.load(chart) as loaded:
        copy = Path(loaded.save_dir(folder))
    described = yaml.safe_load((copy / "Chart.yaml").read_text())
    (copy / "Chart.yaml").write_text(yaml.safe_dump(described | fields))
    return copy


def pool_of(manifests: list[Manifest]) -> Manifest:
    spec: Manifest = find(manifests, "StatefulSet", f"{RELEASE}-pool")["spec"]
    return spec


def test_an_upgrade_changes_nothing_of_a_pool_whose_image_is_pinned(tmp_path: Path) -> None:
    """Neither the chart's version nor values of the operator restart a shard."""
    newer = upgraded(CHART, tmp_path, version="9.9.9", appVersion="9.9.9")
    pinned: Manifest = {"shards": {"image": {"tag": "0.1.0"}}}
    before = manifests_of(render_files(pinned))
    after = manifests_of(
        render_files(pinned | {"operator": {"replicas": 3}, "monitoring": {"enabled": True}}, newer)
    )
    assert pool_of(before) == pool_of(after)
    assert (
        "9.9.9"
        in find(after, "Deployment", f"{RELEASE}-gateway")["spec"]["template"]["spec"]["containers"][0][
            "image"
        ]
    )


def test_an_upgrade_changes_only_the_image_of_a_pool(tmp_path: Path) -> None:
    newer = upgraded(CHART, tmp_path, version="9.9.9", appVersion="9.9.9")
    before, after = (
        yaml.safe_dump(pool_of(manifests_of(render_files({}, chart)))) for chart in (CHART, newer)
    )
    assert before != after
    assert before.replace("server:0.1.0", "server:9.9.9") == after


def test_a_pool_that_is_updated_while_pods_are_missing_comes_through() -> None:
    """The API server adds no `rollingUpdate` to a type that is given, and its controller needs one then."""
    assert pool_of(case_manifests("default"))["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"partition": 0},
    }


def test_an_autoscaled_gateway_has_no_count_of_its_own() -> None:
    """A count would be put back at every upgrade."""
    on, off = (find(case_manifests(case), "Deployment", f"{RELEASE}-gateway") for case in ("full", "default"))
    assert "replicas" not in on["spec"]
    assert off["spec"]["replicas"] == 2


def test_the_generated_certificate_is_that_of_the_webhook() -> None:
    manifests = case_manifests("default")
    secret = find(manifests, "Secret", f"{RELEASE}-operator-webhook")
    webhook = next(found for found in manifests if found["kind"] == "ValidatingWebhookConfiguration")
    assert webhook["webhooks"][0]["clientConfig"]["caBundle"] == secret["data"]["ca.crt"]
    assert webhook["webhooks"][0]["namespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}
    }


def test_a_certificate_that_is_there_is_mounted_and_its_authority_told() -> None:
    certificate = {"source": "existing", "secretName": "our-webhook", "caBundle": "TUlJ"}
    manifests = manifests_of(render_files({"operator": {"webhook": {"certificate": certificate}}}))
    assert {found["kind"] for found in manifests}.isdisjoint({"Secret", "Certificate"})
    webhook = next(found for found in manifests if found["kind"] == "ValidatingWebhookConfiguration")
    assert webhook["webhooks"][0]["clientConfig"]["caBundle"] == "TUlJ"
    pod = find(manifests, "Deployment", f"{RELEASE}-operator")["spec"]["template"]["spec"]
    assert pod["volumes"][1]["secret"]["secretName"] == "our-webhook"


def test_alerts_ask_for_metrics_that_there_are() -> None:
    rule = find(case_manifests("full"), "PrometheusRule", RELEASE)
    asked = {
        name
        for alert in rule["spec"]["groups"][0]["rules"]
        for name in re.findall(r"\b(?:vector_db|hanax)_\w+", alert["expr"])
    }
    sources = "".join(
        path.read_text()
        for folder in ("services/hanax", "operator")
        for path in (ROOT / folder).rglob("*.py")
    )
    assert len(asked) > 3
    # A counter's name may be written without its ending.
    assert {
        name
        for name in asked
        if f'"{name}"' not in sources and f'"{name.removesuffix("_total")}"' not in sources
    } == set()


def test_alerts_ask_for_label_values_that_there_are() -> None:
    rule = find(case_manifests("full"), "PrometheusRule", RELEASE)
    values = {
        value
        for alert in rule["spec"]["groups"][0]["rules"]
        for value in re.findall(r'\b(?:result|state|service)="(\w+)"', alert["expr"])
    }
    assert values == {"failed", "gateway"}
    # Each is written by whoever counts.
    for value, file in (
        ("failed", "operator/hanax_operator/process.py"),
        ("failed", "services/hanax/index_shard/gauges.py"),
        ("gateway", "services/hanax/gateway/metrics.py"),
    ):
        assert f'"{value}"' in (ROOT / file).read_text(), file


def test_notes_tell_how_to_reach_the_gateway() -> None:
    notes = render_files({})["hana-x-vector/templates/NOTES.txt"]
    assert f"--namespace {NAMESPACE} port-forward service/{RELEASE}-gateway 8000:80" in notes
    assert "shardPool.replicas is 0" not in notes
    assert (
        "shardPool.replicas is 0"
        in render_files({"shardPool": {"replicas": 0}})["hana-x-vector/templates/NOTES.txt"]
    )
