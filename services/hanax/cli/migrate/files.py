"""Migration files: Python, numbered, with `up`, `down` and, where wanted, `validate`.

    0001_create_articles.py

The file's name without its ending is the migration's. Files are loaded when their steps are asked for, and
need import nothing of ours.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from types import ModuleType
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError

from hanax.core.errors import InvalidArgument, InvalidMigration, NotFound
from hanax.core.specs import CollectionName, ModelName

TemplateName = Literal["collection", "index", "model", "basic"]
TEMPLATES: Final[tuple[TemplateName, ...]] = ("collection", "index", "model", "basic")

_FORM: Final = re.compile(r"([0-9]{4})_[a-z0-9][a-z0-9_]{0,119}")
_TEMPLATE_DIR: Final = Path(__file__).parent / "templates"
_MOST: Final = 9_999
# The longest that templates put behind a collection's name.
_SUFFIX: Final = "-current"
_LONGEST_NAME: Final = 63


@dataclass(frozen=True, slots=True)
class Functions:
    """What a file defines. up, down: handed a `Steps`; validate: handed `Checks`."""

    up: Callable[[Any], None]
    down: Callable[[Any], None]
    validate: Callable[[Any], None] | None


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """text: as it was when it was found, which is what is run. checksum: its SHA-256, whatever ends lines."""

    path: Path
    number: int
    checksum: str
    text: bytes = field(repr=False)

    @property
    def name(self) -> str:
        return self.path.stem

    def load(self) -> Functions:
        """Raises InvalidMigration for a file that is no Python, or lacks `up` or `down`."""
        module = ModuleType(self.name)
        module.__file__ = str(self.path)
        # Dataclasses and the like look for the module of what they are told to change.
        sys.modules[self.name] = module
        names = vars(module)
        try:
            exec(compile(self.text, str(self.path), "exec", dont_inherit=True), names)
        except (Exception, SystemExit) as error:
            raise InvalidMigration(
                f"{self.path}: {type(error).__name__}: {error}", migration=self.name
            ) from error
        for wanted in ("up", "down", *({"validate"} & names.keys())):
            if not callable(names.get(wanted)):
                raise InvalidMigration(f"{self.path}: defines no function `{wanted}`", migration=self.name)
        return Functions(names["up"], names["down"], names.get("validate"))


def find_migrations(folder: Path) -> list[MigrationFile]:
    """All of a folder, in order.

    Raises NotFound (no such folder) and InvalidMigration (names, numbers, what can't be read).
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}: `hana-x-migrate init` makes it")
    found: dict[int, MigrationFile] = {}
    for path in sorted(folder.glob("*.py")):
        form = _FORM.fullmatch(path.stem)
        if form is None:
            raise InvalidMigration(
                f"{path}: expected a name like 0001_create_articles.py, in lower-case letters, digits and _",
                migration=path.stem,
            )
        number = int(form.group(1))
        if number in found:
            raise InvalidMigration(
                f"{path} and {found[number].path.name} have the same number: give the later one another",
                migration=path.stem,
            )
        try:
            text = path.read_bytes()
        except OSError as error:
            raise InvalidMigration(f"{path} can't be read: {error.strerror}", migration=path.stem) from error
        found[number] = MigrationFile(path, number, checksum(text), text)
    return list(found.values())


def checksum(text: bytes) -> str:
    return hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest()


@dataclass(frozen=True, slots=True)
class About:
    """What a new migration is about: names that are written into it."""

    collection: str
    model: str

    def check(self, suffix: str) -> None:
        """Raises InvalidArgument for what can't be a name. suffix: that is put behind the collection's."""
        try:
            TypeAdapter[str](CollectionName).validate_python(self.collection + suffix)
        except ValidationError:
            raise InvalidArgument(
                f"--collection: expected 1 to {_LONGEST_NAME - len(suffix)} lower-case letters, digits "
                f"and '-', not at either end, got {self.collection!r}"
            ) from None
        try:
            TypeAdapter[str](ModelName).validate_python(self.model)
        except ValidationError:
            raise InvalidArgument(f"--model: expected the name of a model, got {self.model!r}") from None


def create_migration(folder: Path, name: str, template: TemplateName, about: About) -> Path:
    """A new file, numbered after the last one; it is there once it is whole.

    Raises InvalidMigration for a name that can't be one, InvalidArgument for what `about` can't name.
    """
    # Letters with marks lose these: a name is typed on any keyboard, and the same on any file system.
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    number = max((one.number for one in find_migrations(folder)), default=0) + 1
    if number > _MOST:
        raise InvalidMigration(f"there is no number after {_MOST}", migration=name)
    if _FORM.fullmatch(f"{number:04}_{slug}") is None:
        raise InvalidMigration(
            f"name: expected up to 120 of the letters a to z and digits, got {name!r}", migration=name
        )
    path = folder / f"{number:04}_{slug}.py"
    text = (_TEMPLATE_DIR / f"{template}.py.txt").read_text()
    about.check(_SUFFIX if _SUFFIX in text else "")
    title = slug.replace("_", " ").capitalize()
    written = Template(text).substitute(title=title, collection=about.collection, model=about.model)
    draft = path.with_name(f".{path.name}.unfinished")
    with draft.open("w") as file:
        file.write(written)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return path
