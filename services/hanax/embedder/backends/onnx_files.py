"""ONNX files as they were exported, kept in a folder for all processes of a user.

<folder>/<model>-<key>/ holds model.onnx, export.json and seal.json: the size and hash of
model.onnx, written last. The model.onnx of bfloat16 and of int8-static is that of float32, linked;
the latter has ranges.json beside it, sealed as well. The key is a hash
of the model's files, of the versions of what made it, and of the precision. A folder appears whole,
by a rename; what does not match its seal is made again. One process exports at a time, the others
wait for it. A model that cannot be exported is remembered as refused.json.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import orjson
import structlog
import xxhash
from filelock import FileLock, Timeout

from hanax.core.errors import FailedPrecondition, Unavailable
from hanax.embedder.backends.model_files import content_hash
from hanax.embedder.backends.onnx_orders import (
    OF_OPENVINO,
    RANGES,
    REFUSED,
    ExportOrder,
    ExportReport,
    Precision,
)
from hanax.embedder.backends.processor import has_wide_sums

log = structlog.get_logger()

# To be raised when the making changes.
_VERSIONS: Final[Mapping[Precision, int]] = {"float32": 1, "bfloat16": 1, "int8": 2, "int8-static": 1}
_MAKERS: Final = ("torch", "transformers", "sentence-transformers", "onnx", "onnxruntime")
_OPENVINO_MAKERS: Final = (*_MAKERS, "openvino")
# The largest model that fits takes two minutes on two slow cores.
_EXPORT_S: Final = 1_200.0
# Folders: of models, precisions and versions.
MOST_KEPT: Final = 32
_HALF_MADE: Final = ".new"
_MODEL: Final = "model.onnx"
_TAIL_CHARS: Final = 2_000
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class OnnxFile:
    """`content`: the hash of the model's own files."""

    path: Path
    report: ExportReport
    content: str

    @property
    def ranges(self) -> Path:
        """Of int8-static."""
        return self.path.with_name(RANGES)


class OnnxFiles:
    """The folder."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder

    def get(self, model: Path, precision: Precision) -> OnnxFile:
        """The file of the model in folder `model`; made if it is not there, which takes seconds.

        Raises FailedPrecondition when the model does not export; Unavailable when another process
        did not end its export in time; OSError when the folder cannot be written, or the export
        ended otherwise.
        """
        content = content_hash(model)
        reduced = precision == "int8" and not has_wide_sums()
        kept = self._folder / f"{_plain(model.name)}-{_key(content, precision, reduced)}"
        if (found := _sound(kept)) is not None:
            return OnnxFile(kept / _MODEL, found, content)
        self._folder.mkdir(parents=True, exist_ok=True)
        source = None if precision == "float32" else self.get(model, "float32").path
        try:
            with FileLock(f"{kept}.lock", timeout=_EXPORT_S):
                found = _sound(kept) or self._make(kept, ExportOrder(model, kept, source, precision, reduced))
        except Timeout:
            raise Unavailable(
                f"another process exports {model.name} for more than {_EXPORT_S:.0f} s"
            ) from None
        self.tidy()
        return OnnxFile(kept / _MODEL, found, content)

    def tidy(self) -> None:
        """Delete what was not used for long: the runtime has no file open once a model is loaded."""
        folders = sorted(
            (path for path in self._folder.iterdir() if path.is_dir()), key=_used_at, reverse=True
        )
        for path in [path for path in folders if path.suffix != _HALF_MADE][MOST_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)
        for path in [path for path in folders if path.suffix == _HALF_MADE]:
            # Whoever makes it holds the lock; what nobody makes was left by a process that was killed.
            kept = path.name.rsplit(".", 2)[0]
            with suppress(Timeout), FileLock(self._folder / f"{kept}.lock", timeout=0):
                shutil.rmtree(path, ignore_errors=True)

    def _make(self, kept: Path, order: ExportOrder) -> ExportReport:
        name = order.folder.name
        log.info("exporting to onnx", model=name, precision=order.precision)
        target = Path(tempfile.mkdtemp(prefix=f"{kept.name}.", suffix=_HALF_MADE, dir=self._folder))
        try:
            refusal = _export(replace(order, target=target))
            if refusal is not None:
                (target / "refused.json").write_bytes(orjson.dumps({"reason": refusal}))
            else:
                _seal(target)
            if kept.exists():
                shutil.rmtree(kept)
            target.rename(kept)
        finally:
            shutil.rmtree(target, ignore_errors=True)
        report = _sound(kept)
        if report is None:
            raise OSError(f"the export of {name} is not what was written")
        log.info("exported to onnx", model=name, file=str(kept), report=orjson.loads(report.to_json()))
        return report


def cache_folder(configured: Path | None) -> Path:
    """Where ONNX files are kept."""
    if configured is not None:
        return configured / "onnx"
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches) / "hana-x-vector" / "onnx"


def _used_at(kept: Path) -> float:
    """When it was made or read last; 0 for what another process just deleted."""
    seal = kept / "seal.json"
    try:
        return (seal if seal.exists() else kept).stat().st_mtime
    except OSError:
        return 0.0


def _sound(kept: Path) -> ExportReport | None:
    """The report of a folder whose file is as it was made. Raises FailedPrecondition for a refusal."""
    try:
        if (kept / "refused.json").is_file():
            reason = orjson.loads((kept / "refused.json").read_bytes())["reason"]
            raise FailedPrecondition(str(reason))
        seal = orjson.loads((kept / "seal.json").read_bytes())
        report = ExportReport.from_json((kept / "export.json").read_bytes())
        if seal != _fingerprint(kept):
            return None
        os.utime(kept / "seal.json")
        return report
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _seal(target: Path) -> None:
    (target / "seal.json").write_bytes(orjson.dumps(_fingerprint(target)))


def _fingerprint(kept: Path) -> dict[str, str | int]:
    state = xxhash.xxh3_128()
    with (kept / _MODEL).open("rb") as file:
        while block := file.read(_READ_BYTES):
            state.update(block)
    found: dict[str, str | int] = {"bytes": (kept / _MODEL).stat().st_size, "xxh3_128": state.hexdigest()}
    if (kept / RANGES).is_file():
        found["ranges"] = xxhash.xxh3_128_hexdigest((kept / RANGES).read_bytes())
    return found


def _export(order: ExportOrder) -> str | None:
    """Why the model cannot be exported; None: it was. Raises OSError when the export failed."""
    command = (sys.executable, "-P", "-m", "hanax.embedder.backends.onnx_export", order.to_json())
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    # The child reads to the end of this pipe, which comes when this process ends, and then ends too.
    reading, writing = os.pipe()
    try:
        ended = subprocess.run(
            command,
            env=variables,
            stdin=reading,
            capture_output=True,
            text=True,
            timeout=_EXPORT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"the export took more than {_EXPORT_S:.0f} s") from None
    finally:
        os.close(reading)
        os.close(writing)
    if ended.returncode == REFUSED:
        return ended.stdout.strip().rpartition("\n")[2]
    if ended.returncode != 0:
        raise OSError(f"the export ended with {ended.returncode}: {ended.stderr[-_TAIL_CHARS:].strip()}")
    return None


def _key(content: str, precision: Precision, reduced: bool) -> str:
    names = _OPENVINO_MAKERS if precision in OF_OPENVINO else _MAKERS
    makers = " ".join(f"{name}={version(name)}" for name in names)
    return xxhash.xxh3_64_hexdigest(
        f"{_VERSIONS[precision]} {content} {precision} {reduced} {makers}".encode()
    )


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)[:80]
