"""The collections that someone asked for, one file each: the one-machine stand-in for custom resources.

A gateway creates, changes and deletes files here; the orchestrator reconciles what it finds into the
routing table. `<name>.json` appears whole (written aside, then linked or renamed) or not at all. Who changes
or deletes holds a lock on the folder: a change must not bring back what was deleted meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from hanax.core.errors import CollectionExists, CollectionNotFound, DataLoss
from hanax.core.index_specs import Spec
from hanax.core.specs import CollectionSpec


class CatalogEntry(Spec):
    """A declared collection. `uid` is fresh for every creation, `generation` counts its specs."""

    uid: str
    generation: int = 1
    created_at_us: int
    spec: CollectionSpec


class CatalogFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def create(self, spec: CollectionSpec, now_us: int) -> CatalogEntry:
        """Declare a collection, durable on return. Raises CollectionExists."""
        entry = CatalogEntry(uid=uuid.uuid4().hex, created_at_us=now_us, spec=spec)
        draft = self._write_aside(entry)
        try:
            os.link(draft, self._path(spec.name))
        except FileExistsError:
            raise CollectionExists(f"collection {spec.name!r} exists already", collection=spec.name) from None
        finally:
            draft.unlink()
        self._sync()
        return entry

    def update(self, name: str, change: Callable[[CollectionSpec], CollectionSpec]) -> CatalogEntry:
        """Declare a collection differently, durable on return; no other change comes in between.

        Raises CollectionNotFound, DataLoss for a file that can't be read, and what `change` raises.
        """
        with self._locked():
            try:
                entry = _read(self._path(name))
            except FileNotFoundError:
                raise _not_found(name) from None
            spec = change(entry.spec)
            if spec == entry.spec:
                return entry
            changed = entry.model_copy(update={"spec": spec, "generation": entry.generation + 1})
            self._write_aside(changed).replace(self._path(name))
            self._sync()
            return changed

    def delete(self, name: str) -> None:
        """Withdraw a collection, durable on return. Raises CollectionNotFound."""
        with self._locked():
            try:
                self._path(name).unlink()
            except FileNotFoundError:
                raise _not_found(name) from None
            self._sync()

    def entries(self) -> list[CatalogEntry]:
        """All declared collections by name. Raises DataLoss for a file that can't be read."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append(_read(path))
            except FileNotFoundError:
                continue  # deleted since it was listed
        return found

    def readable_entries(self) -> tuple[list[CatalogEntry], dict[str, str]]:
        """Declared collections by name, and for each file that is none the reason, by its name."""
        found: list[CatalogEntry] = []
        damaged: dict[str, str] = {}
        for path in sorted(self._folder.glob("*.json")):
            try:
                entry = CatalogEntry.model_validate_json(path.read_bytes())
            except FileNotFoundError:
                continue  # deleted since it was listed
            except (ValidationError, OSError) as error:
                damaged[path.stem] = str(error)
                continue
            if entry.spec.name == path.stem:
                found.append(entry)
            else:
                damaged[path.stem] = f"it declares {entry.spec.name!r}; a file is named like its collection"
        return found, damaged

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write_aside(self, entry: CatalogEntry) -> Path:
        draft = self._folder / f".{uuid.uuid4().hex}"
        with draft.open("wb") as file:
            file.write(entry.model_dump_json(indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        return draft

    @contextmanager
    def _locked(self) -> Iterator[None]:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _sync(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(path: Path) -> CatalogEntry:
    try:
        return CatalogEntry.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataLoss(f"{path} is not a collection: {error}", path=str(path)) from None


def _not_found(name: str) -> CollectionNotFound:
    return CollectionNotFound(f"there is no collection {name!r}", collection=name)
