"""What a path names: an object, a collection of them, a part of one; or the kinds that there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.operator.emulator import answers, kinds
from tests.operator.emulator.definitions import Definitions
from tests.operator.emulator.kinds import Kind
from tests.operator.emulator.store import Obj, ObjectName


@dataclass(frozen=True)
class Target:
    """What a path names. No name: the collection of objects."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def object_name(self) -> ObjectName:
        return (self.namespace if self.kind.namespaced else "", self.name)


def target(parts: Sequence[str], definitions: Definitions) -> Target:
    """Raises 404."""
    if parts[:2] == ["api", "v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif len(parts) > 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise answers.no_such_path()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    kind = definitions.get(group, version, rest[0])
    if len(rest) > 3 or (namespace and not kind.namespaced):
        raise answers.no_such_path()
    found = Target(kind, namespace, *rest[1:])
    known = (kind.status and "status", kind.scale and "scale", kind.kind == "Pod" and "binding", "")
    if found.subresource not in known:
        raise answers.no_such_path()
    return found


def discovery(parts: Sequence[str], definitions: Definitions) -> Obj | None:
    """Which groups, versions and kinds there are; None where the path does not ask that."""
    known = definitions.all()
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if parts == ["apis"]:
        return kinds.group_list(known)
    if parts == ["api", "v1"]:
        return kinds.resource_list("v1", [kind for kind in known if kind.api_version == "v1"])
    if len(parts) in (2, 3) and parts[0] == "apis":
        of_group = [kind for kind in known if kind.group == parts[1]]
        versions = list(dict.fromkeys(kind.version for kind in of_group))
        if len(parts) == 2 and of_group:
            return {"kind": "APIGroup", "apiVersion": "v1", **kinds.group_document(parts[1], versions)}
        if len(parts) == 3 and parts[2] in versions:
            of_version = [kind for kind in of_group if kind.version == parts[2]]
            return kinds.resource_list(f"{parts[1]}/{parts[2]}", of_version)
        raise answers.no_such_path()
    return None
