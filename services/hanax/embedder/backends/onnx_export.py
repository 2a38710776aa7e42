"""Makes the ONNX file of a model: `python -m hanax.embedder.backends.onnx_export`, with an order as JSON.

A process of its own, because it needs torch, which takes seconds to import and hundreds of
megabytes that would never come back. The whole model is in the graph, from token ids to the
vector: pooling and the modules after it are the library's own. Attention, layer norms and
activations are then fused for ONNX Runtime. Nothing is believed: the vectors of the result are
compared with those of the model, and a file that disagrees is not kept.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hanax.core.errors import FailedPrecondition, HanaxError
from hanax.embedder.backends import Agreement, Purpose, Tokens, Vectors
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.onnx_orders import RANGES, REFUSED, ExportOrder, ExportReport, Precision
from hanax.embedder.backends.onnx_session import OnnxSession
from hanax.embedder.backends.sample_texts import sample_texts
from hanax.embedder.backends.session import Session, SessionOptions
from hanax.embedder.backends.text_tokens import TextTokenizer, read_tokenizer

if TYPE_CHECKING:
    import torch

# Of float32 vectors; sums in another order differ in the sixth digit.
_LEAST_COSINE: Final = 0.9999
# The newest that ONNX Runtime's fusions of attention know.
_OPSET: Final = 17
# A protobuf message holds 2 GiB, and the graph needs some of it.
_MOST_BYTES: Final = 1_900_000_000
_BATCH: Final = 8
_FUSED_DOMAIN: Final = "com.microsoft"


def main(argv: Sequence[str]) -> int:
    warnings.simplefilter("ignore")
    order = ExportOrder.from_json(argv[0])
    try:
        report = _MAKERS[order.precision](order)
    except HanaxError as error:
        print(error)
        return REFUSED
    (order.target / "export.json").write_bytes(report.to_json())
    return 0


def export(order: ExportOrder) -> ExportReport:
    """float32. Raises FailedPrecondition for a model that does not export."""
    samples = _samples(order.folder)
    own = order.folder / "onnx" / "model.onnx"
    expected: Vectors | None = None
    with tempfile.TemporaryDirectory(dir=order.target) as scratch:
        plain = Path(scratch) / "plain.onnx"
        if own.is_file():
            from hanax.embedder.backends.onnx_own import complete

            complete(order.folder, own, plain)
        if not own.is_file() or _has_weights(order.folder):
            model = _load(order.folder)
            expected = _torch_vectors(model, samples)
            if not own.is_file():
                _trace(model, plain)
            del model
        reasons = []
        for candidate in _candidates(plain, order):
            found = _vectors(candidate, samples)
            if expected is None or agreement(found, expected).least >= _LEAST_COSINE:
                candidate.replace(order.target / "model.onnx")
                return ExportReport(dimension=found.shape[1])
            reasons.append(f"{candidate.stem}: {agreement(found, expected).least:.6f}")
    raise FailedPrecondition(f"its vectors in ONNX differ from its own: cosine {', '.join(reasons)}")


def quantize(order: ExportOrder) -> ExportReport:
    """int8, per channel, from the float32 file. Scales of activations are found at each run."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]

    assert order.source is not None
    target = order.target / "model.onnx"
    whole = onnx.load(str(order.source))
    for node in whole.graph.node:
        # By a tanh in place of an error function: a fifth of the time was theirs, and what is
        # rounded to 8 bits anyway loses next to nothing.
        if node.op_type in ("BiasGelu", "Gelu") and node.domain == _FUSED_DOMAIN:
            node.op_type = "FastGelu"
    quantize_dynamic(
        whole,
        target,
        op_types_to_quantize=["Attention", "MatMul"],
        per_channel=True,
        reduce_range=order.reduce_range,
        weight_type=QuantType.QInt8,
        # What fused operators give, whose types shape inference does not know.
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    samples = _samples(order.folder)
    # One text at a time, as it is served.
    found = _vectors(target, samples, batch=1)
    return ExportReport(found.shape[1], agreement(found, _vectors(order.source, samples)))


def compare(order: ExportOrder) -> ExportReport:
    """bfloat16: the float32 file itself, and how near the vectors are.

    Raises FailedPrecondition for a file that OpenVINO cannot compute.
    """
    from hanax.embedder.backends.onnx_openvino import OpenVinoSession

    assert order.source is not None
    target = order.target / "model.onnx"
    _link(order.source, target)
    samples = _samples(order.folder)
    found = _vectors(target, samples, session=OpenVinoSession)
    return ExportReport(found.shape[1], agreement(found, _vectors(order.source, samples)))


def calibrate(order: ExportOrder) -> ExportReport:
    """int8-static: the float32 file itself, the ranges beside it, and how near the vectors are.

    Raises FailedPrecondition for a file that OpenVINO cannot compute.
    """
    from hanax.embedder.backends.onnx_calibration import find_ranges
    from hanax.embedder.backends.onnx_openvino import OpenVinoInt8Session
    from hanax.embedder.backends.onnx_rounding import write_ranges

    assert order.source is not None
    target = order.target / "model.onnx"
    _link(order.source, target)
    samples = _samples(order.folder)
    write_ranges(find_ranges(target, samples), order.target / RANGES)
    found = _vectors(target, samples, session=OpenVinoInt8Session)
    return ExportReport(found.shape[1], agreement(found, _vectors(order.source, samples)))


_MAKERS: Final[Mapping[Precision, Callable[[ExportOrder], ExportReport]]] = {
    "float32": export,
    "bfloat16": compare,
    "int8": quantize,
    "int8-static": calibrate,
}


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # A file system without links.
        shutil.copyfile(source, target)


def agreement(found: Vectors, expected: Vectors) -> Agreement:
    """-1 for rows that are not finite."""
    import numpy as np

    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = np.nan_to_num((found * expected).sum(axis=1) / np.maximum(norms, 1e-12), nan=-1.0)
    return Agreement(float(cosines.mean()), float(cosines.min()), len(cosines))


def _samples(folder: Path) -> list[Tokens]:
    traits = ModelTraits(folder)
    return TextTokenizer(read_tokenizer(traits), traits).tokenize(sample_texts(), Purpose.NONE)


def _batches(samples: list[Tokens], size: int = _BATCH) -> Iterator[list[Tokens]]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def _vectors(
    file: Path,
    samples: list[Tokens],
    batch: int = _BATCH,
    session: Callable[[Path, SessionOptions], Session] = OnnxSession,
) -> Vectors:
    import numpy as np

    opened = session(file, SessionOptions(threads=1, padding_id=0))
    return np.concatenate([opened.run(opened.lay_out(part)) for part in _batches(samples, batch)])


def _has_weights(folder: Path) -> bool:
    transformer = ModelTraits(folder).modules[0][1]
    return any(any(transformer.glob(pattern)) for pattern in ("*.safetensors", "pytorch_model*.bin"))


def _load(folder: Path) -> torch.nn.Module:
    import torch
    from sentence_transformers import SentenceTransformer

    # The fusions know the shape of plain attention, and not that of torch's fused one.
    model = SentenceTransformer(
        str(folder),
        device="cpu",
        local_files_only=True,
        model_kwargs={"attn_implementation": "eager", "dtype": torch.float32},
    )
    size = sum(weight.nbytes for weight in model.parameters())
    if size > _MOST_BYTES:
        raise FailedPrecondition(f"it has {size} bytes of weights, and an ONNX file holds {_MOST_BYTES}")
    return model.eval().requires_grad_(False)


def _torch_vectors(model: torch.nn.Module, samples: list[Tokens]) -> Vectors:
    import torch

    from hanax.embedder.backends.padding import padded

    with torch.inference_mode():
        found = []
        for part in _batches(samples):
            ids, mask = padded(part, 0)
            features = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
            found.append(model(features)["sentence_embedding"])
        vectors: Vectors = torch.cat(found).float().numpy()
    return vectors


def _trace(model: torch.nn.Module, target: Path) -> None:
    import torch

    class FromTokens(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features: Any = {"input_ids": input_ids, "attention_mask": attention_mask}
            vectors: torch.Tensor = self.model(features)["sentence_embedding"]
            return vectors

    ids = torch.full((2, 12), 5, dtype=torch.int64)
    mask = torch.ones_like(ids)
    # Part of the second row is padding, so that no branch is taken that is for full masks only.
    mask[1, 7:] = 0
    axes = {0: "texts", 1: "tokens"}
    try:
        # The exporter that is older, and whose graphs the fusions were written for.
        torch.onnx.export(
            FromTokens().eval(),
            (ids, mask),
            str(target),
            input_names=["input_ids", "attention_mask"],
            output_names=["sentence_embedding"],
            dynamic_axes={
                "input_ids": axes,
                "attention_mask": axes,
                "sentence_embedding": {0: "texts"},
            },
            opset_version=_OPSET,
            dynamo=False,
        )
    except Exception as error:  # whatever a model's code may raise
        reason = str(error).strip().partition("\n")[0][:300]
        raise FailedPrecondition(f"torch cannot export it: {type(error).__name__}: {reason}") from None


def _candidates(plain: Path, order: ExportOrder) -> Iterator[Path]:
    """The fused file first. Fusions may not fit a model, and then may fail or be wrong."""
    fused = plain.with_name("fused.onnx")
    try:
        _fuse(plain, fused, ModelTraits(order.folder).config)
    except Exception as error:
        print(f"not fused: {type(error).__name__}: {error}", file=sys.stderr)
    else:
        yield fused
    yield plain


def _fuse(plain: Path, fused: Path, config: Mapping[str, Any]) -> None:
    from onnxruntime.transformers import optimizer  # type: ignore[import-untyped]
    from onnxruntime.transformers.fusion_options import FusionOptions  # type: ignore[import-untyped]

    options = FusionOptions("bert")
    # SkipLayerNormalization takes six times the CPU of the two operators in whose place it is.
    options.enable_skip_layer_norm = False
    options.enable_bias_skip_layer_norm = False
    options.enable_embed_layer_norm = False
    made = optimizer.optimize_model(
        str(plain),
        "bert",
        num_heads=int(config.get("num_attention_heads") or 0),
        hidden_size=int(config.get("hidden_size") or 0),
        optimization_options=options,
        opt_level=0,
    )
    made.save_model_to_file(str(fused))


def end_with_parent() -> None:
    """End this process when its stdin is closed, which the parent does by ending, however it does."""

    def wait() -> None:
        # Not through sys.stdin, whose lock would be held when the interpreter ends.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(sys.argv[1:]))
