"""Migration files: Python, numbered, with `up`, `down` and, where wanted, `validate`.

    0001_create_articles.py

The file's name without its ending is the migration's. Files are loaded when their steps are asked for, and
need import nothing of ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final, Literal

from hanax.core.errors import InvalidMigration, NotFound

TemplateName = Literal["collection", "index", "model", "basic"]
TEMPLATES: Final[tuple[TemplateName, ...]] = ("collection", "index", "model", "basic")

_FORM: Final = re.compile(r"([0-9]{4})_[a-z0-9][a-z0-9_]{0,119}")
_TEMPLATE_DIR: Final = Path(__file__).parent / "templates"
_MOST: Final = 9_999


@dataclass(frozen=True, slots=True)
class Functions:
    """What a file defines. up, down: handed a `Steps`; validate: handed `Checks`."""

    up: Callable[[Any], None]
    down: Callable[[Any], None]
    validate: Callable[[Any], None] | None


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """checksum: SHA-256 of its text, whatever ends its lines."""

    path: Path
    number: int
    checksum: str

    @property
    def name(self) -> str:
        return self.path.stem

    def load(self) -> Functions:
        """Raises InvalidMigration for a file that is no Python, or lacks `up` or `down`."""
        names: dict[str, Any] = {"__name__": self.name, "__file__": str(self.path)}
        try:
            exec(compile(self.path.read_bytes(), str(self.path), "exec"), names)
        except Exception as error:
            raise InvalidMigration(
                f"{self.path}: {type(error).__name__}: {error}", migration=self.name
            ) from error
        for wanted in ("up", "down"):
            if not callable(names.get(wanted)):
                raise InvalidMigration(f"{self.path}: defines no function `{wanted}`", migration=self.name)
        return Functions(names["up"], names["down"], names.get("validate"))


def find_migrations(folder: Path) -> list[MigrationFile]:
    """All of a folder, in order. Raises NotFound (no such folder) and InvalidMigration (names, numbers)."""
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
        found[number] = MigrationFile(path, number, checksum(path))
    return list(found.values())


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


@dataclass(frozen=True, slots=True)
class About:
    """What a new migration is about: names that are written into it."""

    collection: str
    model: str


def create_migration(folder: Path, name: str, template: TemplateName, about: About) -> Path:
    """A new file, numbered after the last one. Raises InvalidMigration for a name that can't be one."""
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    number = max((one.number for one in find_migrations(folder)), default=0) + 1
    if not slug or number > _MOST or _FORM.fullmatch(f"{number:04}_{slug}") is None:
        raise InvalidMigration(f"name: expected up to 120 letters and digits, got {name!r}", migration=name)
    path = folder / f"{number:04}_{slug}.py"
    text = Template((_TEMPLATE_DIR / f"{template}.py.txt").read_text())
    title = slug.replace("_", " ").capitalize()
    written = text.substitute(title=title, collection=about.collection, model=about.model)
    path.write_text(written)
    return path
