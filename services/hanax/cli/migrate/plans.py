"""What files say is to be done: read from them, checked, and put beside what was done already.

`up`, `down` and `validate` of a file only tell; nothing is asked of a gateway here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from hanax.cli.migrate.checks import Checks
from hanax.cli.migrate.files import MigrationFile
from hanax.cli.migrate.history import find_file
from hanax.cli.migrate.step_list import Steps
from hanax.cli.migrate.steps import Step
from hanax.core.errors import InvalidMigration, MigrationEdited
from hanax.metadata.applied_migrations import Applied, StepNote


def read_steps(file: MigrationFile, direction: Literal["up", "down"]) -> list[Step]:
    """Raises InvalidMigration: steps that fail to be told, or that follow one that has no way back."""
    functions = file.load()
    steps = Steps()
    _tell(file, functions.up if direction == "up" else functions.down, direction, steps)
    if direction == "up":
        for step in steps.all[:-1]:
            if not step.reversible:
                raise InvalidMigration(
                    f"{file.path}: nothing may follow {step.title!r} in `up`, as it can't be undone: "
                    "make the rest a migration of its own",
                    migration=file.name,
                )
    return steps.all


def read_checks(file: MigrationFile) -> Checks:
    """Raises InvalidMigration for a `validate` that fails to tell."""
    checks = Checks()
    validate = file.load().validate
    if validate is not None:
        _tell(file, validate, "validate", checks)
    return checks


def _tell(file: MigrationFile, function: Callable[[Any], Any], name: str, listener: Steps | Checks) -> None:
    try:
        answer = function(listener)
    except InvalidMigration as error:
        raise InvalidMigration(f"{file.path}: {error.message}", migration=file.name) from error
    except (Exception, SystemExit) as error:
        raise InvalidMigration(
            f"{file.path}: `{name}`: {type(error).__name__}: {error}", migration=file.name
        ) from error
    if inspect.iscoroutine(answer):
        answer.close()
    if inspect.iscoroutine(answer) or inspect.isgenerator(answer) or inspect.isasyncgen(answer):
        # It has told nothing: what is in it would only run when it is awaited, or gone through.
        raise InvalidMigration(
            f"{file.path}: `{name}` has to be a plain function, without async and yield", migration=file.name
        )


def pending(
    files: Sequence[MigrationFile], applied: Iterable[Applied], target: str | None
) -> list[MigrationFile]:
    """What `up` would apply, in order. Raises NotFound for a target that is none."""
    there = {one.name for one in applied if one.state == "applied"}
    last = max((file.number for file in files), default=0)
    if target is not None:
        last = find_file(files, target).number
    return [file for file in files if file.name not in there and file.number <= last]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """One migration of a `down`. steps: all of it; undoes: what an unfinished `up` did, last step first.

    left: places of the steps that are still to be done.
    """

    file: MigrationFile
    note: Applied
    steps: list[Step]
    left: list[int]
    undoes: bool

    @property
    def losses(self) -> list[str]:
        """Titles of steps that take away what can't be brought back."""
        if self.undoes:
            return []
        return [self.steps[place].title for place in self.left if not self.steps[place].reversible]


def taken_back(files: Sequence[MigrationFile], applied: Iterable[Applied], count: int) -> list[TakenBack]:
    """What `down` would do, in its order. Raises NotFound, InvalidMigration and MigrationEdited."""
    last = sorted(applied, key=lambda one: one.name, reverse=True)[:count]
    return [_taken_back(find_file(files, one.name), one) for one in last]


def _taken_back(file: MigrationFile, one: Applied) -> TakenBack:
    if one.state != "applied" and one.direction == "up":
        steps = read_steps(file, "up")
        note = resumed(file, one, steps)
        begun = [place for place, step in enumerate(note.steps) if step.state in ("doing", "done")]
        return TakenBack(file, note, steps, begun[::-1], undoes=True)
    steps = read_steps(file, "down")
    note = one if one.state == "applied" else resumed(file, one, steps)
    done = [step.state == "done" for step in note.steps] if one.state != "applied" else [False] * len(steps)
    left = [place for place, is_done in enumerate(done) if not is_done]
    return TakenBack(file, note, steps, left, undoes=False)


def resumed(file: MigrationFile, note: Applied, steps: Sequence[Step]) -> Applied:
    """The note of an unfinished migration, for its file as it is now.

    Steps that were begun have to be the same still; others may have changed. Raises MigrationEdited.
    """
    begun = [step for step in note.steps if step.state != "pending"]
    told = fresh_notes(steps)
    for place, step in enumerate(begun):
        if place >= len(told) or told[place].title != step.title:
            now = told[place].title if place < len(told) else "nothing"
            raise MigrationEdited(
                f"{file.name} was left unfinished, and its `{note.direction}` says other steps now: step "
                f"{place + 1} was {step.title!r}, and is {now!r}. Bring back what was begun; "
                "the rest may change",
                migration=file.name,
            )
    return replace(note, checksum=file.checksum, steps=(*begun, *told[len(begun) :]))


def fresh_notes(steps: Sequence[Step]) -> tuple[StepNote, ...]:
    return tuple(StepNote(storable(step.title), "pending", {}) for step in steps)


def storable(text: str) -> str:
    """What a database takes as text: no NUL, no half of a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
