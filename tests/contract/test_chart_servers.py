"""Redis, PostgreSQL and NATS beside the release: in it for trials, or of one's own; and models' Secrets."""

from __future__ import annotations

import re
from typing import Any

import helm_python as helm
import pytest

from tests.contract.chart.rendering import (
    RELEASE,
    Manifest,
    case_manifests,
    case_names,
    containers,
    find,
    manifests_of,
    render_files,
)

PORTS = {"redis": 6379, "postgresql": 5432, "nats": 4222}
SECRETS = "/etc/hana-x-vector/secrets"


def gateway(manifests: list[Manifest]) -> Manifest:
    spec: Manifest = find(manifests, "Deployment", f"{RELEASE}-gateway")["spec"]["template"]["spec"]
    return spec


def redis_variable(values: Manifest) -> list[Manifest]:
    """How the gateway is told where Redis is."""
    (container,) = gateway(manifests_of(render_files(values)))["containers"]
    return [variable for variable in container["env"] if variable["name"] == "HANAX_REDIS_URL"]


def from_secret(name: str, key: str) -> list[Manifest]:
    where = {"secretKeyRef": {"name": name, "key": key}}
    return [{"name": "HANAX_REDIS_URL", "valueFrom": where}]


def test_the_gateway_is_told_of_redis_in_one_of_three_ways() -> None:
    url = "rediss://cache.example.com:6380/2"
    own = {"redis": {"existingSecret": {"name": "login", "key": "address"}}}
    assert redis_variable({}) == []
    assert redis_variable({"redis": {"url": url}}) == [{"name": "HANAX_REDIS_URL", "value": url}]
    assert redis_variable({"redis": {"enabled": True}}) == from_secret(f"{RELEASE}-redis", "url")
    assert redis_variable(own) == from_secret("login", "address")
    assert redis_variable({"redis": {"existingSecret": {"name": "login"}}}) == from_secret("login", "url")


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("redis", "redis://:hunter2@cache.example.com"),
        ("redis", "redis://cache.example.com/0?password=hunter2"),
        ("postgresql", "postgresql://vectors:hunter2@db.example.com/vectors"),
        ("postgresql", "postgresql://db.example.com/vectors?user=a&sslpassword=hunter2"),
        ("nats", "nats://token@nats.example.com:4222"),
        ("nats", "nats://a.example.com:4222,nats://user:hunter2@b.example.com:4222"),
    ],
)
def test_a_url_with_a_password_is_refused_and_the_way_told(server: str, url: str) -> None:
    with pytest.raises(helm.HelmError, match=rf"name it in {server}\.existingSecret") as refused:
        render_files({server: {"url": url}})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("server", PORTS)
def test_a_server_has_one_place(server: str) -> None:
    url = {"redis": "redis://a", "postgresql": "postgresql://a/b", "nats": "nats://a"}[server]
    named = {"name": "login"}
    for values in ({"enabled": True, "url": url}, {"enabled": True, "existingSecret": named}):
        with pytest.raises(helm.HelmError, match=f"{server}.enabled brings a server of its own"):
            render_files({server: values})
    with pytest.raises(helm.HelmError, match=f"{server}.url and {server}.existingSecret.name"):
        render_files({server: {"url": url, "existingSecret": named}})


@pytest.mark.parametrize("case", case_names())
def test_no_server_comes_unasked(case: str) -> None:
    names = {found["metadata"]["name"] for found in case_manifests(case) if found["kind"] == "StatefulSet"}
    servers = {f"{RELEASE}-{server}" for server in PORTS} if case == "trial" else set()
    assert names - {f"{RELEASE}-pool"} == servers


@pytest.mark.parametrize("server", PORTS)
def test_a_server_is_one_pod_that_knows_its_password_from_its_secret_alone(server: str) -> None:
    manifests = case_manifests("trial")
    spec = find(manifests, "StatefulSet", f"{RELEASE}-{server}")["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    named = [
        variable["valueFrom"]["secretKeyRef"] for variable in container["env"] if "valueFrom" in variable
    ]
    assert spec["replicas"] == 1
    assert pod["automountServiceAccountToken"] is False
    assert pod["imagePullSecrets"] == [{"name": "registry-login"}]
    assert named == [{"name": f"{RELEASE}-{server}", "key": "password"}]
    # Arguments name variables that there are.
    variables = {variable["name"] for variable in container["env"]}
    assert set(re.findall(r"\$\((\w+)\)", " ".join(container.get("args", ())))) <= variables
    assert {"startupProbe", "readinessProbe", "livenessProbe", "resources"} <= container.keys()
    assert find(manifests, "Secret", f"{RELEASE}-{server}")["metadata"]["annotations"] == {
        "helm.sh/resource-policy": "keep"
    }


@pytest.mark.parametrize("server", PORTS)
def test_what_a_server_writes_to_is_a_volume(server: str) -> None:
    spec = find(case_manifests("trial"), "StatefulSet", f"{RELEASE}-{server}")["spec"]
    pod = spec["template"]["spec"]
    claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", ())}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    (container,) = containers(spec["template"])
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert {"/data", "/tmp"} <= mounted.keys()
    assert ("/var/run/postgresql" in mounted) == (server == "postgresql")
    assert set(mounted.values()) == volumes.keys() | claims
    # Each has an end.
    assert all(volume["emptyDir"]["sizeLimit"] for volume in volumes.values())
    assert claims == (set() if server == "redis" else {"data"})


@pytest.mark.parametrize("server", PORTS)
def test_who_uses_a_server_may_come_to_it_and_nobody_else(server: str) -> None:
    manifests = case_manifests("trial")
    policy = find(manifests, "NetworkPolicy", f"{RELEASE}-{server}")["spec"]
    gateways = find(manifests, "NetworkPolicy", f"{RELEASE}-gateway")["spec"]
    (rule,) = policy["ingress"]
    processors = find(manifests, "NetworkPolicy", f"{RELEASE}-batch-processor")["spec"]
    users = [gateways, processors]
    assert rule["from"] == [{"podSelector": user["podSelector"]} for user in users]
    assert policy["egress"] == []
    way: Any = {
        "to": [{"podSelector": policy["podSelector"]}],
        "ports": [{"protocol": "TCP", "port": PORTS[server]}],
    }
    assert way in gateways["egress"]
    assert (way in processors["egress"]) is (server != "nats")
    assert find(manifests, "Service", f"{RELEASE}-{server}")["spec"]["ports"][0]["port"] == PORTS[server]


def test_secrets_of_models_are_files_that_need_no_right() -> None:
    pod = gateway(case_manifests("trial"))
    (container,) = pod["containers"]
    assert {"name": "HANAX_SECRETS_DIR", "value": SECRETS} in container["env"]
    volumes = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    paths = {
        mount["mountPath"]: volumes[mount["name"]]
        for mount in container["volumeMounts"]
        if mount["name"] in volumes
    }
    assert paths == {
        f"{SECRETS}/{name}": {"secretName": name, "optional": True, "defaultMode": 0o440}
        for name in ("openai", "cohere.production")
    }
    assert all(mount["readOnly"] for mount in container["volumeMounts"] if mount["name"] in volumes)


def test_grpc_has_a_port_of_its_own_where_it_is_enabled() -> None:
    manifests = case_manifests("full")
    service = find(manifests, "Service", f"{RELEASE}-gateway")["spec"]
    assert service["ports"][1] == {
        "name": "grpc",
        "port": 8081,
        "targetPort": "grpc",
        "appProtocol": "kubernetes.io/h2c",
    }
    rest, grpc = (find(manifests, "Ingress", f"{RELEASE}-gateway{end}")["spec"] for end in ("", "-grpc"))
    for spec, port in ((rest, "http"), (grpc, "grpc")):
        (rule,) = spec["rules"]
        (path,) = rule["http"]["paths"]
        assert path["backend"]["service"] == {"name": f"{RELEASE}-gateway", "port": {"name": port}}
    off = find(case_manifests("small"), "Service", f"{RELEASE}-gateway")["spec"]
    assert [port["name"] for port in off["ports"]] == ["http"]


def test_a_batch_processor_runs_where_there_is_a_database() -> None:
    manifests = case_manifests("trial")
    pod = find(manifests, "Deployment", f"{RELEASE}-batch-processor")["spec"]["template"]["spec"]
    variables = {one["name"]: one for one in pod["containers"][0]["env"]}
    for user in (gateway(manifests)["containers"][0]["env"], list(variables.values())):
        (database,) = (one for one in user if one["name"] == "HANAX_DATABASE_URL")
        assert database["valueFrom"]["secretKeyRef"]["name"] == f"{RELEASE}-postgresql"
    # Each gateway is an address of its own there.
    gateways = find(manifests, "Service", f"{RELEASE}-gateways")["spec"]
    assert gateways["clusterIP"] == "None"
    host, port = variables["HANAX_GATEWAY_ADDRESS"]["value"].split(":")
    assert host.startswith(f"{RELEASE}-gateways.")
    assert int(port) == gateways["ports"][0]["port"]
    without = case_manifests("default")
    assert not [one for one in without if "batch-processor" in one["metadata"]["name"]]


def test_notes_say_what_is_for_trials_and_what_nobody_reads() -> None:
    cases: dict[str, Manifest] = {
        "none": {},
        "trial": {"redis": {"enabled": True}, "nats": {"enabled": True}},
        "own": {"postgresql": {"url": "postgresql://db.example.com/vectors"}},
    }
    notes = {
        case: render_files(values)["hana-x-vector/templates/NOTES.txt"] for case, values in cases.items()
    }
    told = {
        case: (re.findall(r"(\w+)\.enabled is for trials", text), re.findall(r"reads (\w+)\.", text))
        for case, text in notes.items()
    }
    assert told == {"none": ([], []), "trial": (["redis", "nats"], ["nats"]), "own": ([], [])}
