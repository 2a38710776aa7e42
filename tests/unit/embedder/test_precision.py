"""auto is bfloat16 where nothing is lost by it, and the log says why it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Agreement, precision
from hanax.embedder.backends.onnx_files import OnnxFile, OnnxFiles
from hanax.embedder.backends.onnx_orders import ExportReport, Precision
from hanax.embedder.backends.precision import choose_file

MODEL = Path("some/model")
NEAR = Agreement(0.99999, 0.9999, 60)
FAR = Agreement(0.99999, 0.9998, 60)
ROUNDED = Agreement(0.995, 0.98, 60)


class Files(OnnxFiles):
    """Files of all precisions. `of_bfloat16`, `of_static`: how near it is, or what making it raises."""

    def __init__(
        self, of_bfloat16: Agreement | Exception, of_static: Agreement | Exception = ROUNDED
    ) -> None:
        super().__init__(Path("kept"))
        self._of: dict[Precision, Agreement | Exception | None] = {
            "float32": None,
            "bfloat16": of_bfloat16,
            "int8": ROUNDED,
            "int8-static": of_static,
        }
        self.asked: list[Precision] = []

    def get(self, model: Path, precision: Precision) -> OnnxFile:
        self.asked.append(precision)
        of = self._of[precision]
        if isinstance(of, Exception):
            raise of
        return OnnxFile(model / precision, ExportReport(4, of), "content")


@pytest.fixture(autouse=True)
def tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that has them, and openvino."""
    monkeypatch.setattr(precision, "missing_for_bfloat16", lambda: "")


def test_bfloat16_where_the_vectors_agree() -> None:
    files = Files(NEAR)
    served = choose_file(files, MODEL, "auto")
    assert (served.precision, served.file.report.agreement) == ("bfloat16", NEAR)
    assert files.asked == ["bfloat16"]


@pytest.mark.parametrize(
    ("of_bfloat16", "reason"),
    [
        (FAR, "0.9998"),
        (FailedPrecondition("the runtime has no such operator"), "no such operator"),
        (OSError("the export ended with -4"), "ended with -4"),
    ],
    ids=["far", "refused", "failed"],
)
def test_float32_where_they_do_not(of_bfloat16: Agreement | Exception, reason: str) -> None:
    with capture_logs() as logged:
        served = choose_file(Files(of_bfloat16), MODEL, "auto")
    assert (served.precision, served.file.path) == ("float32", MODEL / "float32")
    (why,) = [entry["reason"] for entry in logged if entry["event"] == "float32, not bfloat16"]
    assert reason in why


def test_float32_where_it_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "missing_for_bfloat16", lambda: "no tiles")
    files = Files(NEAR)
    with capture_logs() as logged:
        assert choose_file(files, MODEL, "auto").precision == "float32"
    assert files.asked == ["float32"]
    assert [entry["reason"] for entry in logged] == ["no tiles"]
    with pytest.raises(FailedPrecondition, match="bfloat16 cannot be had: no tiles"):
        choose_file(files, MODEL, "bfloat16")


def test_what_is_asked_for_by_name_is_served() -> None:
    """Also where it agrees less than auto would have it."""
    assert choose_file(Files(FAR), MODEL, "bfloat16").precision == "bfloat16"
    assert choose_file(Files(NEAR), MODEL, "float32").precision == "float32"
    assert choose_file(Files(NEAR), MODEL, "int8").precision == "int8-static"
    with pytest.raises(FailedPrecondition, match="no such operator"):
        choose_file(Files(FailedPrecondition("no such operator")), MODEL, "bfloat16")


@pytest.mark.parametrize(
    ("of_static", "reason"),
    [(Agreement(0.98, 0.97, 60), "0.98"), (FailedPrecondition("no such operator"), "no such operator")],
    ids=["far", "refused"],
)
def test_scales_of_each_run_where_those_from_before_lose_too_much(
    of_static: Agreement | Exception, reason: str
) -> None:
    with capture_logs() as logged:
        served = choose_file(Files(NEAR, of_static), MODEL, "int8")
    assert (served.precision, served.file.path) == ("int8", MODEL / "int8")
    (why,) = [entry["reason"] for entry in logged if entry["event"] == "int8 with scales of each run"]
    assert reason in why


def test_scales_of_each_run_where_there_are_no_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "missing_for_bfloat16", lambda: "no tiles")
    files = Files(NEAR)
    assert choose_file(files, MODEL, "int8").precision == "int8"
    assert files.asked == ["int8"]


def test_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(precision, "has_bfloat16_tiles", lambda: False)
    assert "no tiles" in precision.missing_for_bfloat16()
    monkeypatch.setattr(precision, "has_bfloat16_tiles", lambda: True)
    monkeypatch.setattr(precision, "find_spec", lambda name: None)
    assert "openvino is not installed" in precision.missing_for_bfloat16()
