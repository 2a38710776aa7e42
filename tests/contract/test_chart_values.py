"""Values of the chart: what is refused, and that processes read what the chart sets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import helm_python as helm
import pytest
import yaml
from pydantic_settings import BaseSettings

from hanax.core.settings import GatewaySettings, ShardSettings
from hanax_operator.release import Release
from hanax_operator.settings import OperatorSettings
from tests.contract.chart.rendering import (
    CHART,
    NAMESPACE,
    RELEASE,
    ROOT,
    Manifest,
    case_manifests,
    case_names,
    containers,
    manifests_of,
    pod_templates,
    render_files,
)

# What each process reads.
SETTINGS: dict[str, tuple[type[BaseSettings], ...]] = {
    "gateway": (GatewaySettings,),
    "shard": (ShardSettings,),
    "operator": (Release, OperatorSettings),
}


def environment(manifests: list[Manifest], container: str) -> dict[str, str]:
    """The variables of a container, those from fields of the pod as a pod would see them.

    One from a Secret is told as `<secret>/<key>`.
    """
    found = next(
        each
        for _, template in pod_templates(manifests)
        for each in containers(template)
        if each["name"] == container
    )
    fields = {"metadata.namespace": NAMESPACE, "metadata.name": f"{RELEASE}-pod-0"}

    def value(variable: Manifest) -> str:
        match variable:
            case {"value": str(plain)}:
                return plain
            case {"valueFrom": {"secretKeyRef": {"name": name, "key": key}}}:
                return f"{name}/{key}"
            case _:
                return fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]

    names = [variable["name"] for variable in found["env"]]
    assert len(names) == len(set(names))
    return {variable["name"]: value(variable) for variable in found["env"]}


def known(kinds: tuple[type[BaseSettings], ...]) -> set[str]:
    return {
        f"{kind.model_config['env_prefix']}{name}".upper() for kind in kinds for name in kind.model_fields
    }


@pytest.mark.parametrize("container", SETTINGS)
def test_processes_know_every_variable_that_the_chart_sets(container: str) -> None:
    set_here = environment(case_manifests("full"), container)
    assert not {name for name in set_here if name.startswith("HANAX_")} - known(SETTINGS[container])


@pytest.mark.parametrize(
    ("values", "kept"),
    [({}, "false"), ({"redis": {"enabled": True}}, None), ({"redis": {"url": "redis://cache:6379"}}, None)],
)
def test_gateways_without_a_cache_of_all_keep_no_answers(values: Manifest, kept: str | None) -> None:
    """Each would give what it kept from before a write that another one took."""
    assert environment(manifests_of(render_files(values)), "gateway").get("HANAX_CACHE_SEARCHES") == kept


@pytest.mark.parametrize("case", case_names())
def test_the_operator_reads_its_release(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(case_manifests(case), "operator").items():
        monkeypatch.setenv(name, value)
    release, settings = Release(), OperatorSettings()
    full = case == "full"
    registry = "registry.example.com/team/vector-" if full else "hana-x-vector/"
    assert (release.namespace, release.release_name) == (NAMESPACE, RELEASE)
    assert release.shard_image == f"{registry}server:0.1.0"
    assert release.embedder_image.startswith(
        f"{registry}embedder@sha256:" if full else f"{registry}embedder:0.1.0"
    )
    assert release.image_pull_secrets == (("registry-login",) if case in {"full", "trial"} else ())
    assert release.pool_stateful_set == ("" if case == "small" else f"{RELEASE}-pool")
    assert (release.routing_config_map, release.aliases_config_map) == (
        f"{RELEASE}-routing",
        f"{RELEASE}-aliases",
    )
    assert release.resync_s == (60 if full else Release.model_fields["resync_s"].default)
    assert settings.identity == f"{RELEASE}-pod-0"
    assert settings.lease_name == f"{RELEASE}-operator"
    assert (settings.webhook_cert_dir is None) == (case == "small")
    assert settings.host == "0.0.0.0"


def test_settings_of_the_values_reach_their_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers as well: helm knows floating ones only."""
    manifests = case_manifests("full")
    for container in ("shard", "gateway"):
        for name, value in environment(manifests, container).items():
            monkeypatch.setenv(name, value)
    shard, gateway = ShardSettings(), GatewaySettings()
    assert (shard.shard_threads, shard.segment_max_bytes, shard.drain_grace_s) == (16, 67_108_864, 7.5)
    assert (gateway.request_timeout_s, gateway.max_inflight) == (20, 512)
    assert (gateway.catalog, gateway.aliases_configmap) == ("cluster", f"{RELEASE}-aliases")
    assert shard.routing_configmap == gateway.routing_configmap == f"{RELEASE}-routing"


def test_shards_keep_what_they_write_on_their_volume() -> None:
    manifests = case_manifests("default")
    variables = environment(manifests, "shard")
    (container,) = (
        each
        for _, template in pod_templates(manifests)
        for each in containers(template)
        if each["name"] == "shard"
    )
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {"/data": "data", "/tmp": "tmp"}
    assert variables["HANAX_DATA_DIR"] == "/data"
    assert variables["NUMBA_CACHE_DIR"].startswith("/data/")
    assert variables["HANAX_NODE_NAME"] == f"{RELEASE}-pod-0"


def nested(path: str, value: object) -> dict[str, Any]:
    """`a.b: value` as values."""
    for key in reversed(path.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("gatway", {}),
        ("gateway.replica", 3),
        ("gateway.replicas", -1),
        ("gateway.replicas", "2"),
        ("gateway.password", "hunter2"),
        ("gateway.settings", {"REQUEST_TIMEOUT_S": "3"}),
        ("gateway.settings", {"HANAX_REQUEST_TIMEOUT_S": {"secret": "x"}}),
        ("gateway.service.type", "ExternalName"),
        ("gateway.service.port", 70000),
        ("gateway.maxUnavailable", "many"),
        ("gateway.ingress.hosts", ["https://vectors.example.com"]),
        ("gateway.ingress.grpc.host", "grpc.example.com:443"),
        ("gateway.ingress.grpc.hosts", ["grpc.example.com"]),
        ("gateway.grpc.enabled", "yes"),
        ("gateway.grpc.port", 9000),
        ("gateway.modelSecrets", ["../etc"]),
        ("gateway.modelSecrets", ["openai", "openai"]),
        ("gateway.modelSecrets", [{"name": "openai"}]),
        ("gateway.autoscaling.targetCPUPercent", 0),
        ("images.pullPolicy", "Sometimes"),
        ("images.server.digest", "sha256:abc"),
        ("images.server.repository", ""),
        ("images.server.tag", "a tag"),
        ("images.pullSecrets", ["Not A Name"]),
        ("images.pullSecrets", [{"password": "hunter2"}]),
        ("shards.defaultStorage.size", "10 GB"),
        ("shardPool.storage.size", "0"),
        ("shardPool.replicas", 1.5),
        ("shardPool.resources.request", {"cpu": 1}),
        ("operator.webhook.failurePolicy", "Maybe"),
        ("operator.webhook.certificate.source", "none"),
        ("operator.webhook.certificate.key", "LS0t"),
        ("redis.url", "http://cache.example.com"),
        ("redis.url", "redis://cache example"),
        ("redis.password", "hunter2"),
        ("redis.existingSecret.value", "hunter2"),
        ("redis.existingSecret.key", "a key"),
        ("redis.existingSecret.name", "Not A Name"),
        ("redis.image.tag", ""),
        ("redis.maxMemory", "half"),
        ("redis.storage.size", "0"),
        ("redis.replicas", 3),
        ("postgresql.url", "mysql://db.example.com/vectors"),
        ("postgresql.storage.persistent", "no"),
        ("nats.url", "nats://a.example.com;nats://b.example.com"),
        ("nats.enabled", 1),
        ("networkPolicy.gatewayFrom", [{"pods": {}}]),
        ("networkPolicy.egress.apiServerPorts", []),
        ("monitoring.interval", "often"),
        ("logLevel", "loud"),
    ],
)
def test_a_bad_value_is_refused_by_its_name(path: str, value: object) -> None:
    with pytest.raises(helm.HelmError) as refused:
        render_files(nested(path, value))
    # An unknown key is named in quotes, another by its place.
    assert path.rsplit(".", maxsplit=1)[-1] in str(refused.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (nested("gateway.ingress.enabled", True), "gateway.ingress.hosts"),
        (
            nested(
                "gateway",
                {
                    "grpc": {"enabled": False},
                    "ingress": {"grpc": {"enabled": True, "host": "grpc.example.com"}},
                },
            ),
            "gateway.ingress.grpc.enabled needs gateway.grpc.enabled",
        ),
        (
            nested("gateway", {"grpc": {"enabled": True}, "ingress": {"grpc": {"enabled": True}}}),
            "gateway.ingress.grpc.host",
        ),
        (
            {
                "gateway": {"grpc": {"enabled": False}},
                "postgresql": {"url": "postgresql://db.example.com/vectors"},
            },
            "batchProcessor.enabled needs gateway.grpc.enabled",
        ),
        (
            nested("gateway.settings.HANAX_REDIS_URL", "redis://cache"),
            "settings.HANAX_REDIS_URL is set by the chart itself",
        ),
        (
            nested("gateway.settings.HANAX_CATALOG", "folder"),
            "settings.HANAX_CATALOG is set by the chart itself",
        ),
        (nested("auth.enabled", True), "auth.enabled needs auth.existingSecret"),
        (
            {"auth": {"enabled": True, "existingSecret": "keys"}, "monitoring": {"enabled": True}},
            "monitoring.enabled needs auth.openMetrics",
        ),
        (
            nested("gateway.settings.HANAX_INSECURE", "false"),
            "settings.HANAX_INSECURE is set by the chart itself",
        ),
        (
            nested("operator.webhook.certificate.source", "existing"),
            "operator.webhook.certificate.secretName",
        ),
        (
            nested("operator.webhook.certificate", {"source": "existing", "secretName": "webhook"}),
            "operator.webhook.certificate.caBundle",
        ),
        (
            nested("operator.webhook.certificate.source", "certManager"),
            "operator.webhook.certificate.issuer.name",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused(values: Mapping[str, Any], message: str) -> None:
    with pytest.raises(helm.HelmError, match=re.escape(message)):
        render_files(values)


def test_a_release_name_that_pods_could_not_carry_is_refused() -> None:
    render_files({}, name="a" * 40)
    with pytest.raises(helm.HelmError, match="at most 40"):
        render_files({}, name="a" * 41)


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_no_value_is_a_secret() -> None:
    """Secrets are named. Every object of the schema is closed, so that none can be slipped in."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    suspicious = re.compile(r"secret|password|token|credential|apikey|key$", re.IGNORECASE)
    assert sorted({key for key in keys(values) if suspicious.search(key)}) == [
        "existingSecret",
        "key",
        "modelSecrets",
        "pullSecrets",
        "secretName",
    ]
    assert {values[server]["existingSecret"]["key"] for server in ("redis", "postgresql", "nats")} == {"url"}


@pytest.mark.parametrize("case", case_names())
def test_the_only_secrets_are_the_generated_ones(case: str) -> None:
    made = [found["metadata"]["name"] for found in case_manifests(case) if found["kind"] == "Secret"]
    certificate, servers = ["operator-webhook"], ["nats", "postgresql", "redis"]
    wanted = {"auth": certificate, "default": certificate, "trial": certificate + servers}.get(case, [])
    assert made == [f"{RELEASE}-{part}" for part in wanted]


def test_every_value_is_in_the_schema_and_the_other_way_round() -> None:
    with helm.Chart.load(CHART) as chart:
        schema, values = chart.schema, chart.values
    assert schema is not None

    def compare(part: Mapping[str, Any], value: Any, place: str) -> None:
        if "$ref" in part:
            part = schema["definitions"][part["$ref"].rpartition("/")[2]]
        if "properties" not in part:
            return
        assert part["additionalProperties"] is False, place
        if isinstance(value, dict) and part["properties"].keys() != {"requests", "limits"}:
            assert part["properties"].keys() - {"global"} == value.keys(), place
            for key, inner in value.items():
                compare(part["properties"][key], inner, f"{place}.{key}")

    compare(schema, values, "values")


def test_the_guide_names_values_that_there_are() -> None:
    """docs/kubernetes.md: `a.b` in backticks that begins like a value is one."""
    with helm.Chart.load(CHART) as chart:
        values = chart.values
    named = set(
        re.findall(r"`([a-z][A-Za-z]+(?:\.[A-Za-z]+)+)`", (ROOT / "docs" / "kubernetes.md").read_text())
    )
    checked = 0
    for path in sorted(named):
        part: Any = values
        first, *_ = path.split(".")
        if first not in values:
            continue
        checked += 1
        for key in path.split("."):
            assert isinstance(part, dict), path
            assert key in part, path
            part = part[key]
    assert checked > 10
