"""The ONNX file that a model brings (onnx/model.onnx), completed to one that ends in a vector.

Such files end in one vector for each token. What makes one of them, the modules after the
transformer, is exported from the library's own code and put behind.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnx
import orjson
from onnx import compose

from hanax.core.errors import FailedPrecondition

if TYPE_CHECKING:
    import torch

# Names that exporters give to the vectors of tokens.
_OF_TOKENS: Final = ("token_embeddings", "last_hidden_state")
_WHOLE: Final = "sentence_embedding"
_LIBRARY: Final = "sentence_transformers."
_MASK: Final = "attention_mask"
_HEAD: Final = "head/"


def complete(folder: Path, own: Path, target: Path) -> None:
    """Write `own` to `target` with its only output `sentence_embedding`.

    Raises FailedPrecondition for a file that ends otherwise, or modules that are not the library's.
    """
    body = onnx.load(str(own))
    outputs = {output.name: output for output in body.graph.output}
    if _WHOLE in outputs:
        _keep(body, _WHOLE)
        onnx.save_model(body, str(target))
        return
    name = next((name for name in _OF_TOKENS if name in outputs), None)
    if name is None or _MASK not in {entry.name for entry in body.graph.input}:
        raise FailedPrecondition(f"{own} gives {', '.join(outputs)}: expected one of {', '.join(_OF_TOKENS)}")
    _keep(body, name)
    head = _head(folder, outputs[name], body, target.with_name("head.onnx"))
    whole = compose.merge_models(body, head, [(name, f"{_HEAD}token_embeddings")])
    for node in whole.graph.node:
        for at, source in enumerate(node.input):
            if source == f"{_HEAD}{_MASK}":
                node.input[at] = _MASK
        for at, made in enumerate(node.output):
            if made == f"{_HEAD}{_WHOLE}":
                node.output[at] = _WHOLE
    extra = [entry for entry in whole.graph.input if entry.name.startswith(_HEAD)]
    for entry in extra:
        whole.graph.input.remove(entry)
    whole.graph.output[0].name = _WHOLE
    onnx.save_model(whole, str(target))


def _keep(model: onnx.ModelProto, name: str) -> None:
    for output in [output for output in model.graph.output if output.name != name]:
        model.graph.output.remove(output)


def _head(folder: Path, tokens: Any, body: onnx.ModelProto, target: Path) -> onnx.ModelProto:
    import torch

    modules = _modules(folder)

    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList(modules)

        def forward(self, token_embeddings: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features: Any = {"token_embeddings": token_embeddings, "attention_mask": attention_mask}
            for module in self.parts:
                features = module(features)
            vectors: torch.Tensor = features["sentence_embedding"]
            return vectors

    width = tokens.type.tensor_type.shape.dim[-1].dim_value
    if not width:
        raise FailedPrecondition("its ONNX file does not say how long its vectors are")
    opset = next(entry.version for entry in body.opset_import if entry.domain in ("", "ai.onnx"))
    axes = {0: "texts", 1: "tokens"}
    torch.onnx.export(
        Head().eval().requires_grad_(False),
        (torch.randn(2, 9, width), torch.ones((2, 9), dtype=torch.int64)),
        str(target),
        input_names=["token_embeddings", _MASK],
        output_names=[_WHOLE],
        dynamic_axes={"token_embeddings": axes, _MASK: axes, _WHOLE: {0: "texts"}},
        opset_version=opset,
        dynamo=False,
    )
    head = compose.add_prefix(onnx.load(str(target)), _HEAD)
    head.ir_version = body.ir_version
    return head


def _modules(folder: Path) -> list[torch.nn.Module]:
    listed = orjson.loads((folder / "modules.json").read_bytes())
    found = []
    for entry in listed[1:]:
        package, _, name = entry["type"].rpartition(".")
        if not package.startswith(_LIBRARY):
            raise FailedPrecondition(f"its module {entry['type']} is code of its own")
        found.append(getattr(import_module(package), name).load(str(folder / entry["path"])).eval())
    return found
