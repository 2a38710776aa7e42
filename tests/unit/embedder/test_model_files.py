"""Where a model is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanax.core.errors import ModelNotFound
from hanax.embedder.backends.model_files import ModelFiles, find_model


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_the_quickstart_model_comes_in_a_package(name: str) -> None:
    files = find_model(name)
    assert files.name == name
    assert files.local
    assert (Path(files.source) / "modules.json").is_file()


def test_a_folder_is_served_under_its_last_part(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    assert find_model(str(folder)) == ModelFiles("my-model", str(folder.resolve()), local=True)


@pytest.mark.parametrize("path", ["/no/such/model", "./no-such-model", "~/no-such-model"])
def test_a_path_without_a_folder(path: str) -> None:
    with pytest.raises(ModelNotFound, match="expected a model's folder"):
        find_model(path)


@pytest.mark.parametrize("name", ["BAAI/bge-base-en-v1.5", "multi-qa-MiniLM-L6-cos-v1"])
def test_other_names_are_on_the_hub(name: str) -> None:
    assert find_model(name) == ModelFiles(name, name, local=False)
