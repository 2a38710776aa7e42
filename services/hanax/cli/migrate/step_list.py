"""What `up` and `down` of a migration are handed, to ask for its steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from hanax.cli.migrate.steps import (
    Action,
    Call,
    ChangeCollection,
    CreateCollection,
    DeleteCollection,
    PointAlias,
    Reembed,
    Step,
)
from hanax.core.errors import InvalidMigration

_CHANGEABLE: Final = ("index", "quantisation", "target_recall", "payload_indexes")


@dataclass(slots=True)
class Steps:
    """What `up` and `down` are handed: it takes down what they ask for, and does nothing yet."""

    all: list[Step] = field(default_factory=list)

    def create_collection(self, name: str, **spec: Any) -> None:
        """spec: as POST /api/v1/collections takes it, without the name. Raises InvalidMigration."""
        if "dimension" not in spec:
            raise InvalidMigration(f"create_collection({name!r}): expected dimension=")
        self.all.append(CreateCollection({"name": name, **spec}))

    def delete_collection(self, name: str) -> None:
        """No error where there is none."""
        self.all.append(DeleteCollection(name))

    def change_collection(self, name: str, **change: Any) -> None:
        """change: of index, quantisation, target_recall and payload_indexes."""
        unknown = sorted(set(change) - set(_CHANGEABLE))
        if unknown or not change:
            raise InvalidMigration(
                f"change_collection({name!r}): expected some of {', '.join(_CHANGEABLE)}"
                + (f", got {', '.join(unknown)}" if unknown else "")
            )
        self.all.append(ChangeCollection(name, change))

    def point_alias(self, alias: str, collection: str) -> None:
        self.all.append(PointAlias(alias, collection))

    def remove_alias(self, alias: str) -> None:
        """No error where there is none."""
        self.all.append(PointAlias(alias, None))

    def reembed(self, source: str, target: str, *, model: str, text_field: str = "text") -> None:
        """The texts of `text_field` of all points, embedded by another model into a new collection."""
        self.all.append(Reembed(source, target, model, text_field))

    def call(self, title: str, *, do: Action, undo: Action | None = None) -> None:
        """Both may be asked for twice, and have to stand that. Without `undo`, there is no way back.

        Raises InvalidMigration.
        """
        for name, action in (("do", do), ("undo", undo)):
            if not callable(action) and (name, action) != ("undo", None):
                raise InvalidMigration(f"call({title!r}): expected a function for {name}=, got {action!r}")
        self.all.append(Call(title, do, undo))
