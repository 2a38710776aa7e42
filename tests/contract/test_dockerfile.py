"""The Dockerfile: targets, who runs them, that what builds stays behind, and what its entry point does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.contract.chart.rendering import case_manifests, containers, pod_templates

ROOT = Path(__file__).parents[2]
ENTRY_POINT = ROOT / "scripts" / "with_kernels.sh"

COMPILERS = re.compile(r"\b(gcc|g\+\+|clang|build-essential|cmake|rustc|cargo|apt-get|apk|pip|llvm)\b")


@dataclass
class Stage:
    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def last(self, keyword: str) -> str | None:
        return next((text for word, text in reversed(self.instructions) if word == keyword), None)


def stages() -> dict[str, Stage]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: dict[str, Stage] = {}
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()  # type: ignore[union-attr]
            found[name] = stage = Stage(name, base)
        elif word and found:
            stage.instructions.append((word, rest))
    return found


STAGES = stages()


def lineage(name: str) -> list[Stage]:
    """A stage and those that it stands on, the last first."""
    chain = [STAGES[name]]
    while chain[-1].base in STAGES:
        chain.append(STAGES[chain[-1].base])
    return chain


def inherited(name: str, keyword: str) -> str | None:
    return next((text for stage in lineage(name) if (text := stage.last(keyword)) is not None), None)


TARGETS = ("server", "embedder")


def test_the_targets_are_there_and_server_is_the_default() -> None:
    assert set(TARGETS) <= STAGES.keys()
    assert list(STAGES)[-1] == "server"


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_runs_as_the_user_that_pods_run_as_and_it_has_a_name(target: str) -> None:
    (user,) = {
        template["spec"]["securityContext"]["runAsUser"]
        for _, template in pod_templates(case_manifests("default"))
    }
    assert inherited(target, "USER") == f"{user}:{user}"
    made = " ".join(text for stage in lineage(target) for word, text in stage.instructions if word == "RUN")
    assert re.search(rf"useradd --uid {user}\b", made)


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_that_builds_is_in_a_target(target: str) -> None:
    """It stands on the bare image of Python, installs nothing, and takes finished folders only."""
    chain = lineage(target)
    assert chain[-1].base == "${BASE}"
    for stage in chain:
        for word, text in stage.instructions:
            assert not (word == "RUN" and COMPILERS.search(text)), text
            if word == "COPY":
                assert (
                    text.startswith("--from=")
                    or text == "scripts/with_kernels.sh /usr/local/bin/with-kernels"
                )


@pytest.mark.parametrize("stage", [name for name in STAGES if name.endswith("-packages")])
def test_packages_are_installed_at_the_versions_of_the_constraints(stage: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installs = [text for word, text in STAGES[stage].instructions if word == "RUN" and " install " in text]
    asked = [
        extra
        for text in installs
        for group in re.findall(r"'\.\[([a-z,]+)\]'", text)
        for extra in group.split(",")
    ]
    assert asked
    assert set(asked) <= extras.keys()
    for text in installs:
        assert "-c constraints.txt" in text or "constraints.txt)" in text


def test_the_server_has_what_its_processes_need() -> None:
    """Every module that a pod of the chart starts is in the wheel, and its extra is installed."""
    (install,) = (text for word, text in STAGES["server-packages"].instructions if " install " in text)
    for _, template in pod_templates(case_manifests("default")):
        (container,) = containers(template)
        assert container["args"][:2] == ["python", "-m"]
        module = container["args"][2]
        assert "command" not in container, "it would bypass the image's entry point"
        extra = {"hanax.gateway": "gateway", "hanax.index_shard": "shard", "hanax_operator": "operator"}[
            module
        ]
        assert extra in install


def test_all_that_is_copied_is_sent_to_the_build_and_little_else() -> None:
    lines = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert lines[0] == "*"
    sent = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for stage in STAGES.values()
        for word, text in stage.instructions
        if word == "COPY" and not text.startswith("--from=")
        for source in text.split()[:-1]
    }
    assert copied == sent
    for source in copied:
        assert (ROOT / source).exists(), source
    assert any(fnmatch("services/hanax/__pycache__", line.replace("**/", "*/")) for line in lines)


def run(arguments: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(ENTRY_POINT), *arguments],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    folder = tmp_path / "image" / "kernels" / "0123"
    folder.mkdir(parents=True)
    (folder / "scan.nbi").write_bytes(b"index")
    return tmp_path / "image"


def test_the_entry_point_brings_the_kernels_and_becomes_the_process(compiled: Path, tmp_path: Path) -> None:
    cache = tmp_path / "data" / "kernels"
    told = [
        str(compiled),
        sys.executable,
        "-c",
        "import os, sys; print(os.environ['NUMBA_CACHE_DIR'], sys.argv[1:]); sys.exit(3)",
        "a b",
    ]
    done = run(told, {"NUMBA_CACHE_DIR": str(cache)})
    assert (done.returncode, done.stdout) == (3, f"{cache} ['a b']\n")
    assert (cache / "kernels" / "0123" / "scan.nbi").read_bytes() == b"index"


def test_a_start_that_was_killed_while_copying_is_made_good(compiled: Path, tmp_path: Path) -> None:
    half = tmp_path / "data" / "kernels" / "0123.part"
    half.mkdir(parents=True)
    (half / "torn").touch()
    assert run([str(compiled), "true"], {"NUMBA_CACHE_DIR": str(tmp_path / "data")}).returncode == 0
    assert not half.exists()
    assert [path.name for path in (tmp_path / "data" / "kernels" / "0123").iterdir()] == ["scan.nbi"]


def test_kernels_that_are_there_stay_as_they_are(compiled: Path, tmp_path: Path) -> None:
    """What this processor compiled for itself is in the same folder."""
    there = tmp_path / "data" / "kernels" / "0123"
    there.mkdir(parents=True)
    (there / "own.nbc").touch()
    assert run([str(compiled), "true"], {"NUMBA_CACHE_DIR": str(tmp_path / "data")}).returncode == 0
    assert [path.name for path in there.iterdir()] == ["own.nbc"]


def test_a_volume_that_takes_no_more_does_not_keep_a_shard_from_starting(
    compiled: Path, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    told = [str(compiled), "/bin/sh", "-c", 'echo "$NUMBA_CACHE_DIR"; ls "$NUMBA_CACHE_DIR/kernels"']
    done = run(told, {"NUMBA_CACHE_DIR": str(blocked / "kernels"), "TMPDIR": str(tmp_path)})
    place, *versions = done.stdout.split()
    try:
        assert done.returncode == 0
        assert versions == ["0123"]
        assert place != str(blocked)
    finally:
        shutil.rmtree(place)


def test_the_entry_point_can_be_executed() -> None:
    assert ENTRY_POINT.stat().st_mode & 0o111 == 0o111
