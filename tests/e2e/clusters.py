"""The cluster that the scenario runs on: one that is given, or one of kind's that is made for it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

# With a registry that nobody asks: a node that lacks the image looks for it nowhere else. It is also what
# podman makes of a name without one, where it stands for docker.
_BUILT: Final = "localhost/hana-x-vector/server:e2e"


@dataclass(frozen=True)
class Cluster:
    """Its images are on its nodes, or can be pulled. embedder_image: empty where none is given.

    postgresql_image: empty for the one that the chart names.
    """

    kubeconfig: Path
    server_image: str
    embedder_image: str
    postgresql_image: str


@contextmanager
def open_cluster(folder: Path) -> Iterator[Cluster]:
    """HANAX_TEST_KUBECONFIG, else kind. Ends the run with a message where neither can be."""
    _require("kubectl")
    server = os.environ.get("HANAX_E2E_SERVER_IMAGE", "")
    embedder = os.environ.get("HANAX_E2E_EMBEDDER_IMAGE", "")
    postgresql = os.environ.get("HANAX_E2E_POSTGRESQL_IMAGE", "")
    if kubeconfig := os.environ.get("HANAX_TEST_KUBECONFIG"):
        if not server:
            pytest.exit("HANAX_TEST_KUBECONFIG is set: set HANAX_E2E_SERVER_IMAGE too, to an image that the "
                        "cluster's nodes have or can pull", returncode=2)  # fmt: skip
        yield Cluster(Path(kubeconfig), server, embedder, postgresql)
        return
    for command in ("kind", "docker"):
        _require(command)
    name = f"hana-x-vector-e2e-{secrets.token_hex(3)}"
    config = folder / "kubeconfig"
    if not server:
        server = _BUILT
        _run("docker", "build", "--target", "server", "--tag", server, str(ROOT))
    try:
        _run("kind", "create", "cluster", f"--name={name}", f"--kubeconfig={config}", "--wait=180s")
        _run("kind", "load", "docker-image", *filter(None, (server, embedder, postgresql)), f"--name={name}")
        yield Cluster(config, server, embedder, postgresql)
    finally:
        _run("kind", "delete", "cluster", f"--name={name}", f"--kubeconfig={config}")


def _require(command: str) -> None:
    if shutil.which(command) is None:
        pytest.exit(
            f"{command} is not installed. The end-to-end scenario needs kubectl, and kind with docker or a "
            "cluster that HANAX_TEST_KUBECONFIG names; see docs/kubernetes.md",
            returncode=2,
        )


def _run(*command: str) -> None:
    # Their progress is worth seeing: an image takes minutes.
    if subprocess.run(command, check=False).returncode:
        pytest.exit(f"failed: {' '.join(command)}", returncode=2)
