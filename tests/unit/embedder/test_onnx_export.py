"""An exported model gives the vectors of the model it was made from, whatever its modules are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Purpose, Tokens, Vectors
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.onnx_export import agreement, export, main, quantize
from hanax.embedder.backends.onnx_orders import REFUSED, ExportOrder, ExportReport
from hanax.embedder.backends.onnx_session import OnnxSession
from hanax.embedder.backends.session import SessionOptions
from hanax.embedder.backends.text_tokens import TextTokenizer, read_tokenizer
from tests.unit.embedder.tiny_models import WIDTH, TinyModel

TEXTS = ["the sea", "salt", "word and word, the sea and the salt of it: 42", "a " * 30, "!?"]

# What torch says of the exporter, and of the traces that it takes.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]

Make = Callable[[TinyModel], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda model: model.save(tmp_path / "tiny")


def order(folder: Path, name: str = "made", source: Path | None = None) -> ExportOrder:
    target = folder.parent / name
    target.mkdir()
    return ExportOrder(folder, target, source)


def tokens(folder: Path) -> list[Tokens]:
    traits = ModelTraits(folder)
    return TextTokenizer(read_tokenizer(traits), traits).tokenize(TEXTS, Purpose.NONE)


def vectors(made: ExportOrder) -> Vectors:
    session = OnnxSession(made.target / "model.onnx", SessionOptions(threads=1, padding_id=0))
    return session.run(session.lay_out(tokens(made.folder)))


def encoded(folder: Path) -> Vectors:
    from sentence_transformers import SentenceTransformer

    found: Vectors = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    return found


@pytest.mark.parametrize(
    ("model", "dimension"),
    [
        (TinyModel("mean"), WIDTH),
        (TinyModel("cls", normalize=False), WIDTH),
        (TinyModel("lasttoken"), WIDTH),
        (TinyModel(("max", "weightedmean")), 2 * WIDTH),
        (TinyModel("mean_sqrt_len_tokens", dense=16), 16),
    ],
    ids=str,
)
def test_vectors_equal_those_of_the_library(make: Make, model: TinyModel, dimension: int) -> None:
    folder = make(model)
    made = order(folder)
    assert export(made) == ExportReport(dimension)
    np.testing.assert_allclose(vectors(made), encoded(folder), atol=1e-4)
    assert [path.name for path in made.target.iterdir()] == ["model.onnx"]


def test_attention_is_fused_and_skipped_norms_are_not(make: Make) -> None:
    import onnx

    made = order(make(TinyModel()))
    export(made)
    found = [node.op_type for node in onnx.load(str(made.target / "model.onnx")).graph.node]
    assert found.count("Attention") == 2
    assert found.count("BiasGelu") == 2
    assert "SkipLayerNormalization" not in found


@pytest.mark.parametrize("with_weights", [True, False])
def test_an_onnx_file_that_a_model_brings_is_completed(make: Make, with_weights: bool) -> None:
    import torch
    from transformers import BertModel

    folder = make(TinyModel("mean", dense=16))
    expected = encoded(folder)

    class OfTokens(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = BertModel.from_pretrained(folder, attn_implementation="eager")

        def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.bert(ids, mask, types).last_hidden_state
            return found

    names = ["input_ids", "attention_mask", "token_type_ids"]
    ones = torch.ones((2, 8), dtype=torch.int64)
    (folder / "onnx").mkdir()
    torch.onnx.export(
        OfTokens(),
        (ones, ones, 0 * ones),
        str(folder / "onnx" / "model.onnx"),
        input_names=names,
        output_names=["last_hidden_state"],
        dynamic_axes={key: {0: "texts", 1: "tokens"} for key in [*names, "last_hidden_state"]},
        opset_version=14,
        dynamo=False,
    )
    if not with_weights:
        (folder / "model.safetensors").unlink()
    made = order(folder)
    assert export(made) == ExportReport(16)
    np.testing.assert_allclose(vectors(made), expected, atol=1e-4)


def test_an_onnx_file_that_disagrees_with_the_weights_is_refused(make: Make) -> None:
    folder = make(TinyModel())
    first = order(folder)
    export(first)
    other = TinyModel("cls").save(folder.parent / "other")
    (other / "onnx").mkdir()
    shutil.copy(first.target / "model.onnx", other / "onnx" / "model.onnx")
    with pytest.raises(FailedPrecondition, match=r"differ from its own: cosine fused: -?[01]\."):
        export(order(other, "refused"))


def test_a_module_that_is_code_of_its_own_is_refused(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(TinyModel())
    made = order(folder)
    export(made)
    (folder / "onnx").mkdir()
    body = made.target / "model.onnx"
    _rename_output(body, folder / "onnx" / "model.onnx", "last_hidden_state")
    (folder / "model.safetensors").unlink()
    listed = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(listed.replace("sentence_transformers.base", "mine"))
    assert main([order(folder, "refused").to_json()]) == REFUSED
    assert "code of its own" in capsys.readouterr().out


def _rename_output(source: Path, target: Path, name: str) -> None:
    import onnx

    model = onnx.load(str(source))
    old = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = [name if made == old else made for made in node.output]
    model.graph.output[0].name = name
    onnx.save_model(model, str(target))


def test_int8_states_how_far_it_is_from_float32(make: Make) -> None:
    folder = make(TinyModel())
    whole = order(folder)
    export(whole)
    rounded = order(folder, "int8", whole.target / "model.onnx")
    report = quantize(rounded)
    assert report.agreement is not None
    assert report.agreement.texts == 60
    assert 0.9 < report.agreement.least <= report.agreement.mean < 1.0
    assert (rounded.target / "model.onnx").stat().st_size < (whole.target / "model.onnx").stat().st_size
    assert agreement(vectors(rounded), vectors(whole)).mean > 0.9


def test_orders_and_reports_survive_being_written() -> None:
    told = ExportOrder(Path("a"), Path("b"), Path("c"), reduce_range=True)
    assert ExportOrder.from_json(told.to_json()) == told
    report = ExportReport(3, agreement(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)))
    assert ExportReport.from_json(report.to_json()) == report


def test_agreement_counts_what_is_not_finite_as_opposite() -> None:
    found = np.array([[1.0, 0.0], [np.nan, 1.0]], np.float32)
    measured = agreement(found, np.array([[2.0, 0.0], [0.0, 1.0]], np.float32))
    assert (measured.mean, measured.least, measured.texts) == (0.0, -1.0, 2)
