"""What each component of the chart may do: rights as a table, and pods as `restricted` asks."""

from __future__ import annotations

from typing import Any

import pytest

from hanax_operator.objects import CHILD_KINDS, RESOURCE_KINDS
from tests.contract.chart.rendering import (
    NAMESPACE,
    RELEASE,
    Manifest,
    case_manifests,
    case_names,
    containers,
    find,
    pod_templates,
)

OURS = "vector.citadel-ai.com"
READ = "get list watch"

# component -> (group, resource, names or all) -> verbs. In the release's namespace, or in the cluster.
RIGHTS: dict[str, dict[tuple[str, str, str], str]] = {
    "gateway": {
        (OURS, "vectorcollections", "*"): "create delete get list update",
        ("", "configmaps", "vectors-routing"): READ,
        ("", "configmaps", "vectors-aliases"): "get update",
    },
    "shard": {("", "configmaps", "vectors-routing"): READ},
    "operator": {
        (OURS, "vectorcollections", "*"): f"{READ} patch",
        (OURS, "externalmodels", "*"): f"{READ} patch",
        (OURS, "vectorcollections/status", "*"): "patch",
        (OURS, "externalmodels/status", "*"): "patch",
        (OURS, "vectorcollections/finalizers", "*"): "update",
        (OURS, "externalmodels/finalizers", "*"): "update",
        ("apps", "statefulsets", "*"): f"create delete {READ} patch",
        ("apps", "deployments", "*"): f"create delete {READ} patch",
        ("", "services", "*"): f"create delete {READ} patch",
        ("", "persistentvolumeclaims", "*"): f"create delete {READ} patch",
        ("policy", "poddisruptionbudgets", "*"): f"create delete {READ} patch",
        ("autoscaling", "horizontalpodautoscalers", "*"): f"create delete {READ} patch",
        ("", "pods", "*"): READ,
        ("", "configmaps", "*"): f"create {READ}",
        ("", "configmaps", "vectors-routing"): "patch",
        ("", "secrets", "*"): "get",
        ("", "events", "*"): "create list",
        ("coordination.k8s.io", "leases", "*"): "create",
        ("coordination.k8s.io", "leases", "vectors-operator"): "get update",
    },
}
CLUSTER_RIGHTS = {("storage.k8s.io", "storageclasses", "*"): "list"}


def table(role: Manifest) -> dict[tuple[str, str, str], str]:
    rights: dict[tuple[str, str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for name in rule.get("resourceNames", ["*"]):
                    rights.setdefault((group, resource, name), set()).update(rule["verbs"])
    return {key: " ".join(sorted(verbs)) for key, verbs in rights.items()}


def in_order(rights: dict[tuple[str, str, str], str]) -> dict[tuple[str, str, str], str]:
    return {key: " ".join(sorted(verbs.split())) for key, verbs in rights.items()}


@pytest.mark.parametrize("case", case_names())
def test_rights_are_those_of_the_table(case: str) -> None:
    manifests = case_manifests(case)
    roles = {found["metadata"]["name"]: table(found) for found in manifests if found["kind"] == "Role"}
    assert roles == {f"{RELEASE}-{component}": in_order(rights) for component, rights in RIGHTS.items()}
    cluster = {
        found["metadata"]["name"]: table(found) for found in manifests if found["kind"] == "ClusterRole"
    }
    assert cluster == {f"{NAMESPACE}-{RELEASE}-operator": CLUSTER_RIGHTS}


@pytest.mark.parametrize("case", case_names())
def test_a_role_is_bound_to_the_account_of_its_name_alone(case: str) -> None:
    manifests = case_manifests(case)
    for binding in (found for found in manifests if found["kind"] in {"RoleBinding", "ClusterRoleBinding"}):
        role = binding["roleRef"]["name"]
        account = role.removeprefix(f"{NAMESPACE}-")
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]
        find(manifests, binding["roleRef"]["kind"], role)
        find(manifests, "ServiceAccount", account)
    bound = {found["roleRef"]["name"] for found in manifests if found["kind"].endswith("RoleBinding")}
    assert bound == {
        found["metadata"]["name"] for found in manifests if found["kind"] in {"Role", "ClusterRole"}
    }


def test_the_operator_may_see_every_kind_that_it_watches() -> None:
    rights = in_order(RIGHTS["operator"])
    for kind in (*RESOURCE_KINDS, *CHILD_KINDS):
        assert set(READ.split()) <= set(rights[kind.group, kind.plural, "*"].split()), kind


def test_models_that_are_served_have_no_rights_and_no_token() -> None:
    manifests = case_manifests("default")
    account = find(manifests, "ServiceAccount", f"{RELEASE}-embedder")
    assert account["automountServiceAccountToken"] is False
    assert not any(
        subject["name"] == f"{RELEASE}-embedder"
        for found in manifests
        for subject in found.get("subjects", ())
    )


# https://kubernetes.io/docs/concepts/security/pod-security-standards/
VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def breaches(template: Manifest) -> list[str]:
    """What keeps a pod from the standard `restricted`, and from a root that cannot be written."""
    spec: dict[str, Any] = template["spec"]
    pod = spec.get("securityContext", {})
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    found += [
        f"volume {volume['name']}" for volume in spec.get("volumes", ()) if volume.keys() - {"name"} - VOLUMES
    ]
    if pod.get("sysctls"):
        found.append("sysctls")
    for container in containers(template):
        own = container.get("securityContext", {})
        merged = pod | own
        asked = {
            "runs as root": merged.get("runAsNonRoot") is True and merged.get("runAsUser", 1) != 0,
            "no seccomp profile": merged.get("seccompProfile", {}).get("type")
            in {"RuntimeDefault", "Localhost"},
            "may gain privileges": own.get("allowPrivilegeEscalation") is False and not own.get("privileged"),
            "keeps capabilities": own.get("capabilities", {}).get("drop") == ["ALL"]
            and set(own["capabilities"].get("add", ())) <= {"NET_BIND_SERVICE"},
            "opens a port of the node": not any(port.get("hostPort") for port in container.get("ports", ())),
            "writes to its root": own.get("readOnlyRootFilesystem") is True,
        }
        found += [f"{container['name']} {breach}" for breach, kept in asked.items() if not kept]
    return found


@pytest.mark.parametrize("case", case_names())
def test_every_pod_keeps_to_restricted(case: str) -> None:
    templates = dict(pod_templates(case_manifests(case)))
    assert len(templates) == {"auth": 4, "default": 3, "small": 2, "full": 4, "trial": 7}[case]
    assert {owner: breaches(template) for owner, template in templates.items()} == {
        owner: [] for owner in templates
    }


def test_a_pod_that_does_not_is_found() -> None:
    loose = {
        "spec": {
            "hostNetwork": True,
            "containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 1}]}],
            "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
        }
    }
    assert breaches(loose) == [
        "hostNetwork",
        "volume v",
        "c runs as root",
        "c no seccomp profile",
        "c may gain privileges",
        "c keeps capabilities",
        "c opens a port of the node",
        "c writes to its root",
    ]
