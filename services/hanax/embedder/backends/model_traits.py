"""What a model's own files say about it, read without any framework.

The files are those that sentence-transformers writes: modules.json lists the modules in order,
each with a folder of its own; the first is the transformer, with Hugging Face's files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import orjson

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends.prompts import Prompts, prompts_of

# When neither the tokenizer nor the configuration knows a limit.
_DEFAULT_MAX_TOKENS: Final = 512
# transformers writes "no limit" as 1e30. Attention over more tokens than this needs gigabytes.
_MOST_TOKENS: Final = 32_768

# As transformers counts them where a configuration does not.
_DEFAULT_LABELS: Final = 2
_CLASSIFIES: Final = "ForSequenceClassification"

# A larger file is none of those that are read here.
_MOST_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True)
class ModelTraits:
    """`folder` holds the model. Raises FailedPrecondition where a file is damaged."""

    folder: Path

    @cached_property
    def modules(self) -> list[tuple[str, Path]]:
        """The last part of each module's type, and its folder; a bare transformer has only itself."""
        listed = _read(self.folder / "modules.json")
        if not isinstance(listed, list):
            return [("Transformer", self.folder)]
        return [
            (str(module.get("type", "")).rpartition(".")[2], self.folder / str(module.get("path", "")))
            for module in listed
            if isinstance(module, dict)
        ]

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Of the transformer."""
        return _object(self._transformer / "config.json")

    @cached_property
    def is_cross_encoder(self) -> bool:
        """Whether it reads two texts together, and makes no vectors."""
        kind = self._library.get("model_type")
        if kind is not None:
            return str(kind) == "CrossEncoder"
        # As it was saved before that was told.
        return self.classifies and len(self.modules) == 1

    @cached_property
    def classifies(self) -> bool:
        """Whether the transformer tells labels of what it reads."""
        found = self.config.get("architectures")
        return isinstance(found, list) and bool(found) and str(found[0]).endswith(_CLASSIFIES)

    @cached_property
    def labels(self) -> int:
        """Numbers that a model that classifies tells."""
        named = self.config.get("id2label")
        if isinstance(named, dict):
            return len(named)
        found = self.config.get("num_labels")
        return found if isinstance(found, int) else _DEFAULT_LABELS

    @cached_property
    def prompts(self) -> Prompts:
        """Raises FailedPrecondition for prompts that the pooling leaves out: these are not supported."""
        found = prompts_of(self._library, (self.folder.name, str(self.config.get("_name_or_path", ""))))
        leaves_out = any(
            _object(folder / "config.json").get("include_prompt") is False for _, folder in self.modules[1:]
        )
        if leaves_out and found.any:
            raise FailedPrecondition("the model leaves its prompt out of the pooling, which is not supported")
        return found

    @cached_property
    def max_tokens(self) -> int:
        """What the model reads of a text, special tokens included."""
        own = _object(self._transformer / "sentence_bert_config.json").get("max_seq_length")
        if not own:
            tokenizer = _object(self._transformer / "tokenizer_config.json")
            limits = (tokenizer.get("model_max_length"), self.config.get("max_position_embeddings"))
            own = min((int(limit) for limit in limits if limit), default=_DEFAULT_MAX_TOKENS)
        return min(int(own), _MOST_TOKENS)

    @cached_property
    def lowers_case(self) -> bool:
        return bool(_object(self._transformer / "sentence_bert_config.json").get("do_lower_case"))

    @cached_property
    def is_half_precision(self) -> bool:
        """As it is kept: a number of a weight has 2 bytes."""
        return str(self.config.get("dtype") or self.config.get("torch_dtype")) in ("float16", "bfloat16")

    @cached_property
    def padding_id(self) -> int:
        found = self.config.get("pad_token_id")
        return found if isinstance(found, int) and found >= 0 else 0

    @cached_property
    def tokenizer_file(self) -> Path:
        """Raises FailedPrecondition when the model has none that can be read here."""
        path = self._transformer / "tokenizer.json"
        if not path.is_file():
            raise FailedPrecondition(
                f"{self.folder.name} must be a model of texts with a fast tokenizer (a tokenizer.json)"
            )
        return path

    @cached_property
    def truncate_dim(self) -> int | None:
        """What vectors are always cut to."""
        found = self._library.get("truncate_dim")
        return found if isinstance(found, int) and found > 0 else None

    @cached_property
    def dimension(self) -> int | None:
        """None where the files do not say it."""
        found = self._whole_dimension
        return min(found, self.truncate_dim) if found and self.truncate_dim else found

    @property
    def _whole_dimension(self) -> int | None:
        found = self.config.get("hidden_size")
        for kind, folder in self.modules[1:]:
            config = _object(folder / "config.json")
            if kind == "Dense":
                found = config.get("out_features")
            elif kind == "Pooling":
                each = config.get("word_embedding_dimension") or config.get("embedding_dimension")
                mode = config.get("pooling_mode")
                modes = len(mode) if isinstance(mode, list) else 1
                if mode is None:
                    modes = sum(
                        value is True for name, value in config.items() if name.startswith("pooling_mode_")
                    )
                found = each * max(1, modes) if isinstance(each, int) else None
        return found if isinstance(found, int) else None

    def cuts(self, dimension: int) -> tuple[int, ...]:
        """Matryoshka: what vectors of `dimension` may be cut to, ascending."""
        for config in (self._library, self.config):
            listed = config.get("matryoshka_dimensions") or config.get("matryoshka_dims")
            if isinstance(listed, list):
                return tuple(sorted({cut for cut in listed if isinstance(cut, int) and 0 < cut < dimension}))
        return ()

    @cached_property
    def _library(self) -> Mapping[str, Any]:
        return _object(self.folder / "config_sentence_transformers.json")

    @cached_property
    def _transformer(self) -> Path:
        return self.modules[0][1] if self.modules else self.folder


def _object(path: Path) -> Mapping[str, Any]:
    found = _read(path)
    return found if isinstance(found, dict) else {}


def _read(path: Path) -> Any:
    """None for a file that is not there."""
    if not path.is_file():
        return None
    if path.stat().st_size > _MOST_BYTES:
        raise FailedPrecondition(f"{path} has more than {_MOST_BYTES} bytes")
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise FailedPrecondition(f"{path} is damaged: {error}") from None
