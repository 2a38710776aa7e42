"""The models of one machine: those that its embedder serves, and those that run elsewhere.

What is served is settled at the start, for the embedder is told it then. Models that run elsewhere are taken
up when the file changes; a file that can't be read changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from citadel.vector.v1 import embedder_pb2 as pb
from hanax.core.errors import HanaxError, InvalidArgument
from hanax.core.model_declarations import external_route, served_route
from hanax.core.model_routes import ModelEndpoint, ModelRoute
from hanax.core.resources.models import ExternalModelSpec
from hanax.core.resources.names import AUTO
from hanax.core.resources.serving import Serve
from hanax.core.settings import LocalSettings
from hanax.local.models_file import DeclaredModel, read_models

log = structlog.get_logger()

# One stat; someone who edits the file does not wait for longer.
_POLL_S: Final = 0.5

Routes = tuple[ModelRoute, ...]


class LocalModels:
    """`publish` is told all routes whenever they change."""

    def __init__(self, settings: LocalSettings, publish: Callable[[Routes], None]) -> None:
        """Raises InvalidArgument for a file that can't be read, and for a model called `auto`."""
        if settings.embedder_model == AUTO:
            raise InvalidArgument(
                f"HANAX_EMBEDDER_MODEL: no model may be called {AUTO!r}, by which requests leave the choice "
                "open; expected a model's name or folder"
            )
        self._settings = settings
        self._file = settings.models_file
        self._publish = publish
        declared = () if self._file is None else _read(self._file)
        self._served: Mapping[str, tuple[DeclaredModel, Serve]] = _served(declared)
        self._elsewhere = _elsewhere(declared)
        self._here: Routes = ()
        # What the embedder said last; another one that has not loaded a model yet does not know its version.
        self._versions: dict[str, str] = {}
        # Vectors that are not as declared, as the log has been told: [declared, made] by model.
        self._misdeclared: dict[str, tuple[int, int]] = {}
        self._mark = None if self._file is None else _mark_of(self._file)

    @property
    def embedder_variables(self) -> dict[str, str]:
        """What the embedder is told to serve: the file's models, or the one of the settings."""
        variables = {
            "HANAX_EMBEDDER_MODEL": self._settings.embedder_model,
            "HANAX_EMBEDDER_BACKEND": self._settings.embedder_backend,
        }
        if self._served:
            entries = [
                {
                    "name": name,
                    "path": serve.model,
                    "backend": serve.backend or self._settings.embedder_backend,
                    "precision": serve.precision or "auto",
                    # The first is there when the stack is ready; others when they are asked for.
                    "lazy": number > 0,
                }
                for number, (name, (_, serve)) in enumerate(self._served.items())
            ]
            variables["HANAX_EMBEDDER_MODELS"] = orjson.dumps(entries).decode()
        return variables

    def remember(self, routes: Iterable[ModelRoute], address: str) -> None:
        """The models of the last run, at the embedder's present address.

        While the embedder loads, a request for one of them is told to come back, not that
        there is no such model.
        """
        names = self._served or {self._settings.embedder_model}
        endpoints = (ModelEndpoint(address=address),)
        self._here = tuple(
            route.model_copy(update={"endpoints": endpoints})
            for route in routes
            if route.name in names and not route.external
        )
        self._tell()

    def learn(self, models: Iterable[pb.ServedModel], address: str) -> None:
        """What the embedder says that it serves."""
        found = (self._route(model, address) for model in models)
        self._here = tuple(route for route in found if route is not None)
        self._tell()

    async def follow(self) -> None:
        """Take up changes of the file until cancelled."""
        if self._file is None:
            return
        while True:
            await asyncio.sleep(_POLL_S)
            mark = _mark_of(self._file)
            if mark != self._mark:
                self._mark = mark
                await self._look(self._file)

    async def _look(self, path: Path) -> None:
        try:
            declared = await asyncio.to_thread(_read, path)
        except HanaxError as error:
            log.error("models kept", reason=error.message)
            return
        if {name: serve for name, (_, serve) in _served(declared).items()} != {
            name: serve for name, (_, serve) in self._served.items()
        }:
            log.warning("models that run here change when the stack is started again", file=str(path))
        self._elsewhere = _elsewhere(declared)
        self._tell()

    def _route(self, model: pb.ServedModel, address: str) -> ModelRoute | None:
        """None for a model that has never been loaded and that nobody has described."""
        declared = self._served.get(model.name)
        if declared is not None:
            return self._declared_route(declared[0].spec, declared[1], model, address)
        if not model.dimension:
            return None
        return ModelRoute(
            name=model.name,
            endpoints=(ModelEndpoint(address=address),),
            dimension=model.dimension,
            max_tokens=model.max_tokens,
            version=self._version(model),
        )

    def _declared_route(
        self, spec: ExternalModelSpec, serve: Serve, model: pb.ServedModel, address: str
    ) -> ModelRoute:
        """As it is declared: what makes other vectors is refused when it answers."""
        route = served_route(model.name, spec, serve, (address,))
        told: dict[str, Any] = {}
        if version := self._version(model):
            told["version"] = version
        if model.dimension:
            told["max_tokens"] = min(route.max_tokens, model.max_tokens)
            self._compare(model, spec.dimensions)
        return route.model_copy(update=told)

    def _version(self, model: pb.ServedModel) -> str:
        """As it was told last; empty: it never was."""
        if model.version:
            self._versions[model.name] = model.version
        return self._versions.get(model.name, "")

    def _compare(self, model: pb.ServedModel, declared: int) -> None:
        """Say once in the log that a model makes other vectors than declared."""
        found = (declared, model.dimension)
        if model.dimension == declared:
            self._misdeclared.pop(model.name, None)
        elif self._misdeclared.get(model.name) != found:
            self._misdeclared[model.name] = found
            log.error(
                "a model makes other vectors than declared, and its answers are refused",
                model=model.name,
                declared=declared,
                dimension=model.dimension,
            )

    def _tell(self) -> None:
        names = {route.name for route in self._here} | set(self._served)
        self._publish((*self._here, *(route for route in self._elsewhere if route.name not in names)))


def _read(path: Path) -> tuple[DeclaredModel, ...]:
    """Raises InvalidArgument."""
    try:
        return read_models(path)
    except OSError as error:
        raise InvalidArgument(f"HANAX_MODELS_FILE: {path} can't be read: {error.strerror}") from None


def _served(declared: Iterable[DeclaredModel]) -> dict[str, tuple[DeclaredModel, Serve]]:
    return {model.name: (model, model.spec.serve) for model in declared if model.spec.serve is not None}


def _elsewhere(declared: Iterable[DeclaredModel]) -> Routes:
    return tuple(
        external_route(model.name, model.spec, model.spec.endpoint)
        for model in declared
        if model.spec.endpoint is not None
    )


def _mark_of(path: Path) -> tuple[int, int, int] | None:
    """Other when the file was replaced or written to; None when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
