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

_BUILT: Final = "hana-x-vector/server:e2e"


@dataclass(frozen=True)
class Cluster:
    """`server_image`, `embedder_image`: that its nodes have, or can pull."""

    kubeconfig: Path
    server_image: str
    embedder_image: str


@contextmanager
def open_cluster(folder: Path) -> Iterator[Cluster]:
    """HANAX_TEST_KUBECONFIG, else kind. Ends the run with a message where neither can be."""
    _require("kubectl")
    if kubeconfig := os.environ.get("HANAX_TEST_KUBECONFIG"):
        image = os.environ.get("HANAX_E2E_SERVER_IMAGE", "")
        if not image:
            pytest.exit("HANAX_TEST_KUBECONFIG is set: set HANAX_E2E_SERVER_IMAGE too, to an image that the "
                        "cluster's nodes have or can pull", returncode=2)  # fmt: skip
        # The model of the scenario needs no torch.
        yield Cluster(Path(kubeconfig), image, os.environ.get("HANAX_E2E_EMBEDDER_IMAGE") or image)
        return
    for command in ("kind", "docker"):
        _require(command)
    name = f"hana-x-vector-e2e-{secrets.token_hex(3)}"
    config = folder / "kubeconfig"
    _run("docker", "build", "--target", "server", "--tag", _BUILT, str(ROOT))
    try:
        _run("kind", "create", "cluster", f"--name={name}", f"--kubeconfig={config}", "--wait=180s")
        _run("kind", "load", "docker-image", _BUILT, f"--name={name}")
        yield Cluster(config, _BUILT, _BUILT)
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
