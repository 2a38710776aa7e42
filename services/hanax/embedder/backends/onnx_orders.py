"""What is said to the process that makes an ONNX file, and what it answers, as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import orjson

from hanax.embedder.backends import Agreement

# int8 is a file of its own, whose scales are found at each run. bfloat16 is the float32 file, computed
# otherwise, and so is int8-static, beside whose file are the ranges of its scales.
Precision = Literal["float32", "bfloat16", "int8", "int8-static"]
OF_OPENVINO: Final = ("bfloat16", "int8-static")

# The file beside model.onnx, of int8-static.
RANGES: Final = "ranges.json"

# Exit status for a model that cannot be exported; the last line of stdout is the reason.
REFUSED: Final = 3


@dataclass(frozen=True)
class ExportOrder:
    """Make `target`/model.onnx and export.json of the model in `folder`, and what is beside them.

    `source`: the float32 file, for the other precisions. `reduce_range`: weights of 7 bits, for
    processors that saturate sums of products of 8-bit numbers.
    """

    folder: Path
    target: Path
    source: Path | None = None
    precision: Precision = "float32"
    reduce_range: bool = False

    def to_json(self) -> str:
        return orjson.dumps(
            {
                "folder": str(self.folder),
                "target": str(self.target),
                "precision": self.precision,
                "source": str(self.source) if self.source else None,
                "reduce_range": self.reduce_range,
            }
        ).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = orjson.loads(text)
        source = fields["source"]
        return cls(
            Path(fields["folder"]),
            Path(fields["target"]),
            Path(source) if source else None,
            fields["precision"],
            fields["reduce_range"],
        )


@dataclass(frozen=True)
class ExportReport:
    """`agreement`: with the float32 file; None for that itself."""

    dimension: int
    agreement: Agreement | None = None

    def to_json(self) -> bytes:
        return orjson.dumps(self, option=orjson.OPT_INDENT_2)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Raises ValueError, KeyError or TypeError for what `to_json` did not write."""
        fields = orjson.loads(text)
        found = fields["agreement"]
        return cls(int(fields["dimension"]), Agreement(**found) if found else None)
