"""Exported models are kept: made once by whoever comes first, checked when read, replaced when damaged."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from filelock import FileLock
from structlog.testing import capture_logs

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends.model_files import content_hash
from hanax.embedder.backends.onnx_files import MOST_KEPT, OnnxFile, OnnxFiles, cache_folder
from hanax.embedder.backends.precision import missing_for_bfloat16
from tests.unit.embedder.tiny_models import TinyModel, write_strange_onnx

MISSING = missing_for_bfloat16()

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyModel().save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "onnx"


def exports(logged: list[MutableMapping[str, Any]]) -> int:
    return sum(entry["event"] == "exporting to onnx" for entry in logged)


@pytest.fixture(scope="module")
def first(model: Path, kept: Path) -> list[OnnxFile]:
    """What two got that came at once. One process was started."""
    together = threading.Barrier(2)

    def get() -> OnnxFile:
        together.wait()
        return OnnxFiles(kept).get(model, "float32")

    with capture_logs() as logged, ThreadPoolExecutor(2) as pool:
        both = [pool.submit(get) for _ in range(2)]
        found = [future.result() for future in both]
    assert exports(logged) == 1
    return found


def test_two_that_come_at_once_export_once(first: list[OnnxFile], model: Path) -> None:
    assert first[0] == first[1]
    assert first[0].path.is_file()
    assert first[0].content == content_hash(model)


def test_nothing_half_made_is_left(first: list[OnnxFile], kept: Path) -> None:
    assert sorted(path.suffix for path in kept.iterdir()) == ["", ".lock"]
    (folder,) = (path for path in kept.iterdir() if path.is_dir())
    assert sorted(path.name for path in folder.iterdir()) == ["export.json", "model.onnx", "seal.json"]


def test_what_is_kept_is_used_again(first: list[OnnxFile], model: Path, kept: Path) -> None:
    with capture_logs() as logged:
        assert OnnxFiles(kept).get(model, "float32") == first[0]
    assert exports(logged) == 0


def test_a_damaged_file_is_made_again(first: list[OnnxFile], model: Path, kept: Path) -> None:
    sound = first[0].path.read_bytes()
    middle = len(sound) // 2
    damaged = sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :]
    first[0].path.write_bytes(damaged)
    with capture_logs() as logged:
        assert OnnxFiles(kept).get(model, "float32") == first[0]
    assert exports(logged) == 1
    assert len(first[0].path.read_bytes()) == len(sound)
    assert first[0].path.read_bytes() != damaged


def test_a_changed_model_has_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "README.md").write_text("read me")
    before = content_hash(tmp_path)
    (tmp_path / "README.md").write_text("nothing that computes")
    assert content_hash(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    assert content_hash(tmp_path) != before


def test_a_refusal_is_remembered(tmp_path: Path) -> None:
    folder = TinyModel().save(tmp_path / "strange")
    (folder / "model.safetensors").unlink()
    write_strange_onnx(folder)
    for expected in (1, 0):
        with capture_logs() as logged, pytest.raises(FailedPrecondition, match="asks for pixels"):
            OnnxFiles(tmp_path / "kept").get(folder, "float32")
        assert exports(logged) == expected
    (refused,) = (tmp_path / "kept").glob("*/refused.json")
    assert "pixels" in orjson.loads(refused.read_bytes())["reason"]


def test_an_export_that_fails_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    folder = TinyModel().save(tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(OSError, match="the export ended with 1"):
        OnnxFiles(tmp_path / "kept").get(folder, "float32")
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".lock"]


def test_what_a_killed_process_left_goes_with_the_next_export(model: Path, tmp_path: Path) -> None:
    """Killed amid an export: the process that exports for it ends as well."""
    program = (
        "from pathlib import Path\n"
        "from hanax.embedder.backends.onnx_files import OnnxFiles\n"
        f"OnnxFiles(Path({str(tmp_path)!r})).get(Path({str(model)!r}), 'float32')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    # The child has begun to write: it listens for the end of its parent by then.
    while not list(tmp_path.glob("*.new/*")):
        assert parent.poll() is None
        time.sleep(0.01)
    (child,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    assert psutil.wait_procs([child], timeout=60)[0] == [child]
    (abandoned,) = tmp_path.glob("*.new")
    OnnxFiles(tmp_path).get(model, "float32")
    assert not abandoned.exists()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".lock"]


def test_what_is_being_made_stays(tmp_path: Path) -> None:
    (tmp_path / "a.b-0123.x.new").mkdir()
    files = OnnxFiles(tmp_path)
    with FileLock(tmp_path / "a.b-0123.lock"):
        files.tidy()
        assert (tmp_path / "a.b-0123.x.new").exists()
    files.tidy()
    assert not (tmp_path / "a.b-0123.x.new").exists()


def test_what_was_not_used_for_long_goes(first: list[OnnxFile], model: Path, kept: Path) -> None:
    """Files of other versions and of models that are gone, and what a killed export left."""
    old = [kept / f"old-{number:016x}" for number in range(MOST_KEPT)]
    abandoned = kept / "old-0000.x.new"
    for number, folder in enumerate([*old, abandoned]):
        folder.mkdir()
        (folder / "seal.json").write_text("{}")
        os.utime(folder / "seal.json", (number, number))
        os.utime(folder, (number, number))
    OnnxFiles(kept).tidy()
    assert first[0].path.is_file()
    assert [folder.exists() for folder in old] == [False] + [True] * (MOST_KEPT - 1)
    assert not abandoned.exists()


def test_an_export_ends_with_its_parent(model: Path, tmp_path: Path) -> None:
    """It computes for ten minutes, were it not for the end of its stdin."""
    program = (
        "import time\n"
        "from hanax.embedder.backends.onnx_export import end_with_parent\n"
        "end_with_parent()\n"
        "print(1, flush=True)\n"
        "time.sleep(600)\n"
    )
    reading, writing = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", program], stdin=reading, stdout=subprocess.PIPE)
    os.close(reading)
    assert child.stdout is not None
    assert child.stdout.readline() == b"1\n"
    assert child.poll() is None
    os.close(writing)
    assert child.wait(60) != 0
    child.stdout.close()


@pytest.mark.skipif(bool(MISSING), reason=f"bfloat16 cannot be had: {MISSING}")
def test_bfloat16_is_the_file_of_float32(first: list[OnnxFile], model: Path, kept: Path) -> None:
    with capture_logs() as logged:
        found = [OnnxFiles(kept).get(model, "bfloat16") for _ in range(2)]
    assert exports(logged) == 1
    assert found[0] == found[1]
    assert found[0].path.samefile(first[0].path)
    assert found[0].report.agreement is not None
    assert found[0].report.agreement.least > 0.99


def test_where_they_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder(tmp_path) == tmp_path / "onnx"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder(None) == tmp_path / "caches" / "hana-x-vector" / "onnx"
