"""The models of one machine: read from a file, followed while it changes, kept when it is damaged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import yaml
from structlog.testing import capture_logs

from citadel.vector.v1 import embedder_pb2 as pb
from hanax.core.errors import InvalidArgument
from hanax.core.model_routes import ModelRoute
from hanax.core.settings import LocalSettings
from hanax.local.models import LocalModels
from hanax.local.models_file import read_models
from tests.integration.waiting import until

EXAMPLES = Path(__file__).parents[3] / "examples" / "models"
ADDRESS = "127.0.0.1:9301"


def declared(name: str, **spec: object) -> dict[str, object]:
    where = {} if "serve" in spec else {"endpoint": {"url": f"http://{name}.example", "protocol": "tei"}}
    return {
        "apiVersion": "vector.citadel-ai.com/v1alpha1",
        "kind": "ExternalModel",
        "metadata": {"name": name},
        "spec": {"dimensions": 3, **where, **spec},
    }


def write(path: Path, *objects: object) -> Path:
    # Renamed into place, as editors do: nobody reads half of it.
    draft = path.with_suffix(".new")
    draft.write_text(yaml.safe_dump_all(objects))
    draft.replace(path)
    return path


class Published:
    def __init__(self) -> None:
        self.routes: tuple[ModelRoute, ...] = ()

    def __call__(self, routes: tuple[ModelRoute, ...]) -> None:
        self.routes = routes

    @property
    def names(self) -> list[str]:
        return [route.name for route in self.routes]


def local(path: Path | None, published: Callable[[tuple[ModelRoute, ...]], None]) -> LocalModels:
    return LocalModels(LocalSettings(models_file=path, embedder_backend="hash"), published)


# --- the file -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("nine-external", "phi3 general openchat hermes mixtral yi34 deepcoder imp deepseek"),
        (
            "second-nine",
            "mixtral-8x7b nous-hermes-2 yi-34b mimo-vl-7b llama-3 codellama mistral-instruct phi-3-vision"
            " gemma",
        ),
        ("four-served", "all-minilm-l6-v2 e5-small bge-base phi-3-mini"),
    ],
)
def test_the_examples_are_what_they_promise(file: str, names: str) -> None:
    models = read_models(EXAMPLES / f"{file}.yaml")
    assert [model.name for model in models] == names.split()
    if file == "nine-external":
        by_pattern: dict[str, list[str]] = {}
        for model in models:
            by_pattern.setdefault(model.spec.pattern, []).append(model.name)
        assert by_pattern == {
            "real_time": ["phi3", "general"],
            "hybrid": ["openchat", "hermes"],
            "bulk_only": ["mixtral", "yi34", "deepcoder", "imp", "deepseek"],
        }
    if file == "four-served":
        assert [model.spec.dimensions for model in models] == [384, 384, 768, 3072]
        assert all(model.spec.serve is not None for model in models)


def test_a_list_is_as_good_as_documents(tmp_path: Path) -> None:
    path = write(tmp_path / "models.yaml", [declared("a"), declared("b")], declared("c"))
    assert [model.name for model in read_models(path)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        (["a"], "model 1: expected an object"),
        ([declared("a"), declared("a")], "'a' is declared twice"),
        ([declared("a") | {"kind": "Pod"}], "kind: expected ExternalModel, got 'Pod'"),
        ([declared("a") | {"apiVersion": "v1"}], "apiVersion: expected vector"),
        ([declared("A b")], "metadata.name"),
        ([declared("auto")], "metadata.name: 'auto' is how requests leave the choice"),
        ([declared("a") | {"metadata": None}], "metadata.name"),
        ([declared("a", dimensions=0)], "model 'a': spec.dimensions"),
        (
            [declared("a", serve={"model": "x"}, endpoint={"url": "http://a", "protocol": "tei"})],
            "exactly one of",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_its_place(tmp_path: Path, objects: list[object], told: str) -> None:
    path = write(tmp_path / "models.yaml", *objects)
    with pytest.raises(InvalidArgument, match=told) as refusal:
        read_models(path)
    assert str(path) in refusal.value.message


def test_what_is_no_yaml_or_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    with pytest.raises(InvalidArgument, match="can't be read"):
        local(path, Published())
    path.write_text("a: [")
    with pytest.raises(InvalidArgument, match="is no YAML"):
        local(path, Published())


# --- the models -----------------------------------------------------------------------------


def test_served_models_are_told_to_the_embedder_and_learnt_from_it(tmp_path: Path) -> None:
    path = write(
        tmp_path / "models.yaml",
        declared("here", serve={"model": "x"}, pattern="hybrid", weight=2),
        declared("int8", serve={"model": "y", "backend": "onnx", "precision": "int8"}),
        declared("there"),
    )
    published = Published()
    models = local(path, published)
    told = orjson.loads(models.embedder_variables["HANAX_EMBEDDER_MODELS"])
    assert told == [
        {"name": "here", "path": "x", "backend": "hash", "precision": "auto", "lazy": False},
        {"name": "int8", "path": "y", "backend": "onnx", "precision": "int8", "lazy": True},
    ]
    models.remember((), ADDRESS)
    assert published.names == ["there"]
    # One is loaded, of the other nothing is known but what is declared.
    loaded = pb.ServedModel(name="here", dimension=3, max_tokens=99, version="v1", loaded=True)
    models.learn([loaded, pb.ServedModel(name="int8")], ADDRESS)
    here, int8, there = published.routes
    assert (here.dimension, here.max_tokens, here.version) == (3, 99, "v1")
    assert (here.pattern, here.weight, here.addresses, here.external) == ("hybrid", 2, (ADDRESS,), False)
    assert (int8.dimension, int8.addresses) == (3, (ADDRESS,))
    assert (there.addresses, there.external) == (("http://there.example",), True)


def test_a_version_is_kept_until_another_is_told(tmp_path: Path) -> None:
    """Vectors that were made before and after a model was loaded, or its embedder restarted, are alike."""
    path = write(tmp_path / "models.yaml", declared("here", serve={"model": "x"}))
    published = Published()
    models = local(path, published)
    seen = []
    for version in ("", "v1", "", "v2", ""):
        models.learn([pb.ServedModel(name="here", dimension=3, max_tokens=99, version=version)], ADDRESS)
        seen.append(published.routes[0].version)
    models.learn([pb.ServedModel(name="here")], ADDRESS)
    seen.append(published.routes[0].version)
    assert seen[1:] == ["v1", "v1", "v2", "v2", "v2"]
    # Before it was loaded, what is declared stands for it.
    assert seen[0] not in ("", "v1")
    alone = local(None, published)
    for version in ("v1", ""):
        alone.learn([pb.ServedModel(name="m", dimension=3, max_tokens=9, version=version)], ADDRESS)
        assert published.routes[0].version == "v1"


def test_a_model_is_as_it_is_declared_and_the_log_says_once_what_it_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "models.yaml", declared("here", serve={"model": "x"}, maxTokens=256))
    published = Published()
    models = local(path, published)

    def told(*dimensions: int) -> list[tuple[int, int]]:
        with capture_logs() as logs:
            for dimension in dimensions:
                models.learn([pb.ServedModel(name="here", dimension=dimension, max_tokens=8_192)], ADDRESS)
                (route,) = published.routes
                assert (route.dimension, route.max_tokens) == (3, 256)
        return [(line["declared"], line["dimension"]) for line in logs if line["log_level"] == "error"]

    assert told(384, 384, 384) == [(3, 384)]
    assert told(384, 8, 8, 3, 3) == [(3, 8)]
    assert told(8) == [(3, 8)]


def test_without_a_file_there_is_the_one_model_of_the_settings() -> None:
    published = Published()
    models = local(None, published)
    assert models.embedder_variables == {
        "HANAX_EMBEDDER_MODEL": "all-MiniLM-L6-v2",
        "HANAX_EMBEDDER_BACKEND": "hash",
    }
    models.learn([pb.ServedModel(name="hash-384", dimension=384, max_tokens=8)], ADDRESS)
    assert published.names == ["hash-384"]


def test_no_model_is_called_as_requests_leave_the_choice_open() -> None:
    with pytest.raises(InvalidArgument, match="HANAX_EMBEDDER_MODEL: no model may be called 'auto'"):
        LocalModels(LocalSettings(embedder_model="auto"), Published())


def test_models_of_the_last_run_are_known_while_the_embedder_loads(tmp_path: Path) -> None:
    path = write(tmp_path / "models.yaml", declared("here", serve={"model": "x"}))
    published = Published()
    models = local(path, published)
    known = [
        ModelRoute(name=name, dimension=3, max_tokens=8, endpoints=("127.0.0.1:1",))
        for name in ("here", "gone")
    ]
    models.remember(known, ADDRESS)
    assert [(route.name, route.addresses) for route in published.routes] == [("here", (ADDRESS,))]


async def test_changes_of_the_file_are_taken_up_and_a_damaged_one_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "models.yaml", declared("a"))
    published = Published()
    models = local(path, published)
    models.remember((), ADDRESS)
    following = asyncio.create_task(models.follow())

    async def follows(*names: str) -> None:
        await until("the models of the file", lambda: published.names == list(names))

    try:
        write(path, declared("a"), declared("b"))
        await follows("a", "b")
        with capture_logs() as logs:
            path.write_text("a: [")
            await until("it is told", lambda: any(line["event"] == "models kept" for line in logs))
        assert published.names == ["a", "b"]
        write(path, declared("b"), declared("c"))
        await follows("b", "c")
        path.unlink()
        write(path, declared("c"))
        await follows("c")
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
