"""The models of one machine, from the file that declares them: served by its embedder, and elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from tests.integration.gateway.upstreams.servers import UpstreamServer, running_upstream
from tests.integration.local_stack import LocalStack
from tests.integration.waiting import wait_until


def declared(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "vector.citadel-ai.com/v1alpha1",
        "kind": "ExternalModel",
        "metadata": {"name": name},
        "spec": {"dimensions": 384, **spec},
    }


def outside(name: str, server: UpstreamServer, **spec: Any) -> dict[str, Any]:
    endpoint = {"url": server.base("openai"), "protocol": "openai"}
    return declared(name, dimensions=server.answers.dimension, endpoint=endpoint, **spec)


HERE = [
    declared("first", serve={"model": "one"}),
    declared("second", serve={"model": "two"}, pattern="bulk_only"),
]


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    with running_upstream() as server:
        yield server


def write(path: Path, objects: list[dict[str, Any]]) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(yaml.safe_dump(objects))
    draft.replace(path)


def test_the_models_of_the_file_embed_and_its_changes_are_taken_up(
    tmp_path: Path, upstream: UpstreamServer
) -> None:
    path = tmp_path / "models.yaml"
    write(path, [*HERE, outside("there", upstream)])
    stack = LocalStack(tmp_path / "data", HANAX_MODELS_FILE=str(path))
    try:
        stack.up()
        assert dimension(stack, "first") == 384
        assert dimension(stack, "there") == upstream.answers.dimension
        # While its embedder is started again, a request waits.
        psutil.Process(stack.pids()["embedder"]).kill()
        assert dimension(stack, "first") == 384
        # Loaded when it is asked for; its pattern is the file's.
        job = stack.call("POST", "/external/second/embed", {"text": "a"})["job_id"]
        wait_until("its job is done", lambda: state_of(stack, job) == "succeeded")

        write(path, [*HERE, outside("there", upstream), outside("new", upstream, pattern="hybrid")])
        wait_until("the new one is known", lambda: "new" in models(stack))
        assert dimension(stack, "new") == upstream.answers.dimension
        write(path, HERE)
        wait_until("both are gone", lambda: models(stack) == {"first", "second"})
    finally:
        stack.end()


def test_a_stack_with_a_wrong_file_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    write(path, [declared("a", dimensions=0, serve={"model": "x"})])
    stack = LocalStack(tmp_path / "data", HANAX_MODELS_FILE=str(path))
    try:
        done = stack.run("up", "--detach")
        assert done.returncode != 0
        assert "model 'a': spec.dimensions" in done.stdout + done.stderr
    finally:
        stack.end()


def dimension(stack: LocalStack, model: str) -> int:
    answer = httpx.post(
        f"{stack.state().api_url}/external/{model}/embed",
        json={"text": "how far?"},
        timeout=60,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    return int(answer.json()["data"]["dimension"])


def state_of(stack: LocalStack, job: str) -> str:
    return str(stack.call("GET", f"/api/v1/jobs/{job}")["state"])


def models(stack: LocalStack) -> set[str]:
    return {one["model"] for one in stack.call("GET", "/external/status")["models"]}
