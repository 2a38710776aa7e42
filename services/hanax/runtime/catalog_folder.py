"""The collections that someone asked for, one file each: the one-machine stand-in for custom resources.

A gateway creates, changes and deletes files here; the orchestrator reconciles what it finds into the
routing table. `<name>.json` appears whole (written aside, then linked or renamed) or not at all. All aliases
are one file, ALIASES, so that several change together. Who writes holds a lock on the folder: a change must
not bring back what was deleted meanwhile, no name may be a collection and an alias, and an alias points to a
collection that is there.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from hanax.core.alias_changes import changed_aliases, without_collection
from hanax.core.catalog import CatalogEntry
from hanax.core.errors import (
    AliasExists,
    CollectionExists,
    CollectionNotFound,
    DataLoss,
)
from hanax.core.routing import Aliases
from hanax.core.specs import CollectionSpec

# Places and suspension are a cluster's: one machine's files do not tell of them.
_NOT_STORED: Final = frozenset({"nodes", "suspended"})

# No collection's file: their names are in small letters, and end in .json.
ALIASES: Final = "ALIASES"


@dataclass(frozen=True, slots=True)
class Declared:
    """All that is declared at one moment.

    entries: by name. damaged: for each file that is none the reason, by its name. aliases: None where their
    file is damaged.
    """

    entries: tuple[CatalogEntry, ...]
    damaged: dict[str, str]
    aliases: Aliases | None


class CatalogFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def create(self, spec: CollectionSpec, now_us: int) -> CatalogEntry:
        """Declare a collection, durable on return. Raises CollectionExists or AliasExists."""
        entry = CatalogEntry(uid=uuid.uuid4().hex, created_at_us=now_us, spec=spec)
        with self._locked():
            target = self.aliases().collection_by_alias.get(spec.name)
            if target is not None:
                raise AliasExists(
                    f"{spec.name!r} is an alias, of collection {target!r}", alias=spec.name, collection=target
                )
            draft = self._write_aside(entry)
            try:
                os.link(draft, self._path(spec.name))
            except FileExistsError:
                raise CollectionExists(
                    f"collection {spec.name!r} exists already", collection=spec.name
                ) from None
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

    def delete(self, name: str, with_aliases: bool) -> None:
        """Withdraw a collection, and its aliases where that is wanted; durable on return.

        Raises CollectionNotFound or CollectionHasAliases.
        """
        with self._locked():
            if not self._path(name).exists():
                raise _not_found(name)
            before = self.aliases()
            self._write_aliases(before, without_collection(before, name, with_aliases))
            self._path(name).unlink()
            self._sync()

    def aliases(self) -> Aliases:
        """All aliases. Raises DataLoss for a file that can't be read."""
        path = self._folder / ALIASES
        try:
            return Aliases.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return Aliases()
        except ValidationError as error:
            raise DataLoss(f"{path} does not hold aliases: {error}", path=str(path)) from None

    def change_aliases(self, changes: Mapping[str, str | None]) -> Aliases:
        """Point aliases to collections, or to None to remove them: all at once, durable on return.

        A collection may be named by an alias of before. Raises CollectionNotFound, AliasNotFound,
        CollectionExists for an alias that is named like one, and FailedPrecondition past MAX_ALIASES.
        """
        with self._locked():
            before = self.aliases()
            after = changed_aliases(before, changes, lambda name: self._path(name).exists())
            self._write_aliases(before, after)
            return after

    def entries(self) -> list[CatalogEntry]:
        """All declared collections by name. Raises DataLoss for a file that can't be read."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append(_read(path))
            except FileNotFoundError:
                continue  # deleted since it was listed
        return found

    def declared(self) -> Declared:
        """What is declared, looked at while nobody writes: aliases and their collections go together."""
        with self._locked(fcntl.LOCK_SH):
            entries, damaged = self._readable_entries()
            try:
                return Declared(tuple(entries), damaged, self.aliases())
            except (DataLoss, OSError) as error:
                return Declared(tuple(entries), damaged | {ALIASES: str(error)}, None)

    def _readable_entries(self) -> tuple[list[CatalogEntry], dict[str, str]]:
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

    def _write_aliases(self, before: Aliases, after: Aliases) -> None:
        if after != before:
            self._write_aside(after).replace(self._folder / ALIASES)
            self._sync()

    def _write_aside(self, content: CatalogEntry | Aliases) -> Path:
        draft = self._folder / f".{uuid.uuid4().hex}"
        with draft.open("wb") as file:
            file.write(content.model_dump_json(indent=1, exclude=set(_NOT_STORED)).encode())
            file.flush()
            os.fsync(file.fileno())
        return draft

    @contextmanager
    def _locked(self, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, kind)
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
