"""Which precision a model is served in.

auto is bfloat16 where that costs nothing that matters: the processor multiplies it by tiles, and
the vectors of sample texts are those of float32 up to a cosine of 0.9999. int8 has scales that were
found before, where the processor multiplies it by tiles and little is lost by that.
"""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import structlog

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends.onnx_backend import ServedFile
from hanax.embedder.backends.onnx_files import OnnxFiles
from hanax.embedder.backends.onnx_orders import Precision
from hanax.embedder.backends.processor import has_bfloat16_tiles

log = structlog.get_logger()

AskedPrecision = Literal["auto", "float32", "bfloat16", "int8"]

# Of every sample text, for bfloat16 that nobody asked for.
_LEAST_COSINE: Final = 0.9999
# On average over the sample texts, for int8 whose scales are found before.
_STATIC_COSINE: Final = 0.99


def choose_file(files: OnnxFiles, folder: Path, asked: AskedPrecision) -> ServedFile:
    """The file of the model in `folder`, made where it is not there yet.

    The log says why auto is float32. Raises FailedPrecondition for bfloat16 that cannot be had
    here, and what `OnnxFiles.get` raises.
    """
    if asked == "auto":
        return _bfloat16_or_float32(files, folder)
    if asked == "int8":
        return _static_or_dynamic(files, folder)
    if asked == "bfloat16" and (missing := missing_for_bfloat16()):
        raise FailedPrecondition(f"bfloat16 cannot be had: {missing}")
    return _file(files, folder, asked)


def missing_for_bfloat16() -> str:
    """Why bfloat16 cannot be had, or would not be faster; empty: it can."""
    if not has_bfloat16_tiles():
        return "the processor has no tiles for it (AMX)"
    if find_spec("openvino") is None:
        return "openvino is not installed"
    return ""


def _bfloat16_or_float32(files: OnnxFiles, folder: Path) -> ServedFile:
    reason = missing_for_bfloat16()
    if not reason:
        try:
            served = _file(files, folder, "bfloat16")
        except (FailedPrecondition, OSError) as error:
            # Also for a model that does not export at all, of which float32 then tells.
            reason = str(error)
        else:
            agreement = served.file.report.agreement
            if agreement is not None and agreement.least >= _LEAST_COSINE:
                return served
            reason = f"its vectors differ from those of float32: {agreement}"
    log.info("float32, not bfloat16", model=folder.name, reason=reason)
    return _file(files, folder, "float32")


def _static_or_dynamic(files: OnnxFiles, folder: Path) -> ServedFile:
    reason = missing_for_bfloat16()
    if not reason:
        try:
            served = _file(files, folder, "int8-static")
        except (FailedPrecondition, OSError) as error:
            reason = str(error)
        else:
            agreement = served.file.report.agreement
            if agreement is not None and agreement.mean >= _STATIC_COSINE:
                return served
            reason = f"its vectors differ from those of float32: {agreement}"
    log.info("int8 with scales of each run", model=folder.name, reason=reason)
    return _file(files, folder, "int8")


def _file(files: OnnxFiles, folder: Path, precision: Precision) -> ServedFile:
    made = files.get(folder, precision)
    if made.report.agreement is not None:
        log.info("lower precision", model=folder.name, precision=precision, **asdict(made.report.agreement))
    return ServedFile(made, precision)
