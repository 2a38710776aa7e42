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

from hanax.core.errors import (
    AliasExists,
    AliasNotFound,
    CollectionExists,
    CollectionHasAliases,
    CollectionNotFound,
    DataLoss,
    FailedPrecondition,
)
from hanax.core.index_specs import Spec
from hanax.core.limits import MAX_ALIASES
from hanax.core.routing import Aliases
from hanax.core.specs import CollectionSpec

# No collection's file: their names are in small letters, and end in .json.
ALIASES: Final = "ALIASES"


class CatalogEntry(Spec):
    """A declared collection. `uid` is fresh for every creation, `generation` counts its specs."""

    uid: str
    generation: int = 1
    created_at_us: int
    spec: CollectionSpec


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
            aliases = self.aliases()
            doomed = aliases.of(name)
            if doomed and not with_aliases:
                raise CollectionHasAliases(
                    f"collection {name!r} has aliases: {', '.join(doomed[:5])}"
                    f"{', ...' if len(doomed) > 5 else ''}; remove or switch them first",
                    collection=name,
                    aliases=doomed,
                )
            if doomed:
                self._write_aliases(aliases, dict.fromkeys(doomed))
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
            targets: dict[str, str | None] = {}
            for alias, name in changes.items():
                if self._path(alias).exists():
                    raise CollectionExists(
                        f"{alias!r} is a collection, and can't be an alias", collection=alias
                    )
                if name is None:
                    if alias not in before.collection_by_alias:
                        raise AliasNotFound(f"there is no alias {alias!r}", alias=alias)
                    targets[alias] = None
                    continue
                target = before.collection_by_alias.get(name, name)
                if not self._path(target).exists():
                    raise _not_found(target)
                targets[alias] = target
            return self._write_aliases(before, targets)

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

    def _write_aliases(self, before: Aliases, changes: Mapping[str, str | None]) -> Aliases:
        merged = {**before.collection_by_alias, **changes}
        kept = {alias: name for alias, name in sorted(merged.items()) if name is not None}
        if kept == before.collection_by_alias:
            return before
        if len(kept) > MAX_ALIASES:
            raise FailedPrecondition(f"there are at most {MAX_ALIASES} aliases", limit=MAX_ALIASES)
        after = Aliases(generation=before.generation + 1, collection_by_alias=kept)
        self._write_aside(after).replace(self._folder / ALIASES)
        self._sync()
        return after

    def _write_aside(self, content: CatalogEntry | Aliases) -> Path:
        draft = self._folder / f".{uuid.uuid4().hex}"
        with draft.open("wb") as file:
            file.write(content.model_dump_json(indent=1).encode())
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
