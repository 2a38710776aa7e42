"""A namespace of a cluster, through kubectl: what people use is what is tested."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Manifest = dict[str, Any]

_CALL_S: Final = 120.0
_FORWARDED: Final = re.compile(r"Forwarding from (127\.0\.0\.1:\d+) ->")


class Refused(Exception):
    """The no of kubectl or of the API server, in their words."""


@dataclass(frozen=True)
class Kubectl:
    kubeconfig: Path
    namespace: str

    def run(self, *words: str, stdin: str | None = None) -> str:
        """What kubectl prints. Raises Refused."""
        done = subprocess.run(
            self._command(*words), input=stdin, capture_output=True, text=True, timeout=_CALL_S, check=False
        )
        if done.returncode:
            raise Refused(done.stderr.strip())
        return done.stdout

    def apply(self, *manifests: Manifest) -> None:
        """Raises Refused."""
        document = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.run("apply", "--filename", "-", stdin=json.dumps(document))

    def get(self, kind: str, name: str) -> Manifest:
        """Raises Refused, also when it is not there."""
        found: Manifest = json.loads(self.run("get", kind, name, "--output", "json"))
        return found

    def find(self, kind: str, name: str) -> Manifest | None:
        found = self.run("get", kind, name, "--output", "json", "--ignore-not-found")
        return json.loads(found) if found.strip() else None

    def list_of(self, kinds: str, selector: str = "") -> list[Manifest]:
        """`kinds`: one, or several between commas."""
        printed = self.run("get", kinds, "--selector", selector, "--output", "json")
        found: list[Manifest] = json.loads(printed)["items"]
        return found

    def names(self, kinds: str, selector: str = "") -> set[str]:
        return {name_of(found) for found in self.list_of(kinds, selector)}

    def merge(self, kind: str, name: str, patch: Manifest) -> None:
        self.run("patch", kind, name, "--type", "merge", "--patch", json.dumps(patch))

    def delete(self, kind: str, *names: str) -> None:
        """Until they are gone, or Refused after the time that a call may take."""
        self.run("delete", kind, *names, f"--timeout={_CALL_S - 10:g}s")

    def wait_ready(self, kind: str, name: str, within_s: int) -> None:
        """Until its condition Ready is True. Raises Refused."""
        self.run("wait", "--for=condition=Ready", f"{kind}/{name}", f"--timeout={within_s}s")

    @contextmanager
    def forward(self, target: str, port: int) -> Iterator[str]:
        """host:port on this machine that leads to a port of `target`, such as service/vectors-gateway."""
        command = self._command("port-forward", target, f":{port}")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                # The first line comes when the pod was found, or never: then kubectl ends.
                found = _FORWARDED.match(process.stdout.readline())
                if found is None:
                    process.terminate()
                    raise Refused(process.stderr.read().strip())
                yield found[1]
            finally:
                process.terminate()

    def _command(self, *words: str) -> list[str]:
        return ["kubectl", f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *words]


def name_of(found: Manifest) -> str:
    return str(found["metadata"]["name"])


def uid_of(found: Manifest) -> str:
    return str(found["metadata"]["uid"])


def condition_of(found: Manifest, kind: str) -> Manifest:
    """Empty when it is not told."""
    told = found.get("status", {}).get("conditions", ())
    return next((condition for condition in told if condition["type"] == kind), {})


def is_ready(found: Manifest | None) -> bool:
    """Whether it says so of the spec that it has now."""
    if found is None or "deletionTimestamp" in found["metadata"]:
        return False
    told = found.get("status", {}).get("observedGeneration", found["metadata"].get("generation"))
    return (
        told == found["metadata"].get("generation") and condition_of(found, "Ready").get("status") == "True"
    )
