"""Models of a few thousand weights in the layout of sentence-transformers, made from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

if TYPE_CHECKING:
    from transformers import BertConfig

WIDTH = 32
MAX_TOKENS = 24
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class TinyModel:
    """`pooling`: its mode or modes. `dense`: the width of a layer after it; 0: none."""

    pooling: str | Sequence[str] = "mean"
    dense: int = 0
    normalize: bool = True

    def save(self, folder: Path) -> Path:
        """Write the model's files into `folder`."""
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
        from transformers import BertModel

        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(7)
        config = _config(0.5)
        bare = folder / "bare"
        BertModel(config).save_pretrained(bare)
        write_tokenizer(bare)
        modules: list[Any] = [Transformer(str(bare)), Pooling(WIDTH, self.pooling)]
        if self.dense:
            modules.append(Dense(modules[-1].get_embedding_dimension(), self.dense))
        if self.normalize:
            modules.append(Normalize())
        model = SentenceTransformer(modules=modules, device="cpu")
        model.save(str(folder))
        for path in sorted(bare.rglob("*"), reverse=True):
            path.unlink()
        bare.rmdir()
        return folder


@dataclass(frozen=True)
class TinyCrossEncoder:
    """Bare Hugging Face files, as cross-encoders are published. `sharp`: how far apart its scores are."""

    labels: int = 1
    sharp: float = 0.5

    def save(self, folder: Path) -> Path:
        import torch
        from transformers import BertForSequenceClassification

        torch.manual_seed(7)
        config = _config(self.sharp)
        config.num_labels = self.labels
        BertForSequenceClassification(config).save_pretrained(folder)
        write_tokenizer(folder)
        return folder


def _config(spread: float) -> BertConfig:
    """spread: of the weights, and so of what comes out."""
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(_vocabulary()),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=64,
        initializer_range=spread,
    )


def write_tokenizer(folder: Path) -> None:
    """A word piece is a letter, or a word of the list below."""
    tokenizer = Tokenizer(WordPiece(_vocabulary(), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "BertTokenizerFast",
        "model_max_length": MAX_TOKENS,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    (folder / "tokenizer_config.json").write_bytes(orjson.dumps(settings))


def write_strange_onnx(folder: Path) -> None:
    """As the model's own file: one that asks for inputs that are no tokens."""
    from onnx import TensorProto, helper, save_model

    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 2])
    vectors = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, [1, 2])
    node = helper.make_node("Identity", ["pixels"], ["sentence_embedding"])
    graph = helper.make_graph([node], "strange", [pixels], [vectors])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "onnx").mkdir()
    save_model(model, str(folder / "onnx" / "model.onnx"))


def _vocabulary() -> dict[str, int]:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,:!?-'"
    words = ["query", "passage", "the", "and", "word", "sea", "salt"]
    pieces = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters), *words]
    return {piece: number for number, piece in enumerate(pieces)}
