"""Linear layers with weights in oneDNN's blocked layout, made once when the model is loaded.

torch multiplies float32 matrices with MKL, which leaves half of an AMD core's vector width
unused: on 2 Zen 5 cores a layer of MiniLM runs at 195 GFLOP/s, packed at 460, and the whole
model embeds 1.9 times the texts. The products are the same float32 ones, summed in another
order. `torch.compile` ends at the same operator, after tens of seconds of compiling at each
start. The operator is torch's own and not a public one, so a build without it keeps the layers
that it has.
"""

from __future__ import annotations

import platform

import torch
from torch import Tensor, nn


class PackedLinear(nn.Linear):
    """Computes what `layer` computes, without gradients, on float32 (..., in_features)."""

    def __init__(self, layer: nn.Linear) -> None:
        # The weight stays as it was, for models that ask a layer for its type or shape.
        super().__init__(layer.in_features, layer.out_features, layer.bias is not None, "meta")
        self.weight, self.bias = layer.weight, layer.bias
        self._packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach())

    def forward(self, input: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(input, self._packed, self.bias, "none", [], "")
        return product


def pack_linear_layers(model: nn.Module) -> int:
    """Replace the float32 linear layers of a model on an x86 CPU; how many there were.

    A subclass of nn.Linear is left alone: it may compute something else.
    """
    if not _has_packing():
        return 0
    packed = 0
    for name, child in list(model.named_children()):
        if type(child) is nn.Linear:
            if child.weight.device.type == "cpu" and child.weight.dtype is torch.float32:
                setattr(model, name, PackedLinear(child))
                packed += 1
        else:
            packed += pack_linear_layers(child)
    return packed


def _has_packing() -> bool:
    return (
        platform.machine() in ("x86_64", "AMD64")
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
