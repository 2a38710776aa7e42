"""Doing migrations and taking them back, with a note in the database before and after each step.

A step that fails is named, and those before it are undone, the last one first. A process that ends in the
middle leaves its notes: the next one that runs undoes what was begun upwards, and goes on with what was begun
downwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from hanax.cli.migrate.checks import Checks
from hanax.cli.migrate.files import MigrationFile
from hanax.cli.migrate.history import check_history, find_file
from hanax.cli.migrate.steps import Step, Steps
from hanax.core.errors import HanaxError, InvalidMigration, MigrationFailed, MigrationLocked
from hanax.metadata.applied_migrations import Applied, AppliedMigrations, StepNote
from hxp_vector_client import AsyncVectorClient, VectorError

# A lock whose holder died is free after this long; it is renewed three times as often.
_LOCK_S: Final = 30.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Runner:
    """tell: is handed a line for each thing that is done. now_us: microseconds since 1970 UTC."""

    client: AsyncVectorClient
    applied: AppliedMigrations
    tell: Tell
    now_us: Callable[[], int]

    async def up(self, files: Sequence[MigrationFile], target: str | None) -> list[str]:
        """Apply what is pending, up to and with `target`; the names of what was applied.

        Raises MigrationLocked, MigrationEdited, InvalidMigration and MigrationFailed.
        """
        async with self._locked():
            done: list[str] = []
            known = {one.name: one for one in await self.applied.all()}
            check_history(files, known.values())
            wanted = pending(files, known.values(), target)
            for file in files:
                before = known.get(file.name)
                if before is not None and before.state != "applied":
                    await self._take_up_again(file, before)
            for file in wanted:
                await self._apply(file)
                done.append(file.name)
            return done

    async def down(self, files: Sequence[MigrationFile], count: int) -> list[str]:
        """Take back the last `count` that are applied; their names. Raises what `up` does."""
        async with self._locked():
            known = await self.applied.all()
            check_history(files, known)
            done: list[str] = []
            for one in list(reversed(known))[:count]:
                file = find_file(files, one.name)
                if one.direction == "up" and one.state != "applied":
                    # Only what was done of it: its `down` would take away what it never made.
                    await self._take_up_again(file, one)
                else:
                    await self._revert(file, one)
                done.append(one.name)
            return done

    async def _apply(self, file: MigrationFile) -> None:
        functions = file.load()
        steps = read_steps(file, "up")
        checks = Checks()
        if functions.validate is not None:
            functions.validate(checks)
        self.tell(f"{file.name}: up")
        note = Applied(file.name, file.checksum, "up", "running", _notes(steps), began_at_us=self.now_us())
        await self.applied.save(note)
        try:
            for place in range(len(steps)):
                note = await self._do(note, steps, place)
            for check in checks.all:
                if problem := await check(self.client):
                    raise MigrationFailed(f"not as `validate` expects: {problem}")
        except (HanaxError, VectorError, _StepFailed) as error:
            await self._give_up(note, steps, error)
        await self.applied.save(replace(note, state="applied", ended_at_us=self.now_us()))

    async def _revert(self, file: MigrationFile, before: Applied) -> None:
        steps = read_steps(file, "down")
        self.tell(f"{file.name}: down")
        note = before
        if before.direction != "down":
            note = replace(before, direction="down", state="running", steps=_notes(steps), error=None)
            await self.applied.save(note)
        try:
            for place, step in enumerate(note.steps):
                if step.state != "done":
                    note = await self._do(note, steps, place)
        except _StepFailed as error:
            await self.applied.save(replace(error.note, state="failed", error=error.message))
            raise MigrationFailed(
                f"{file.name}: {error.message}; the steps before it are done: `down` goes on from there"
            ) from error
        await self.applied.remove(file.name)

    async def _do(self, note: Applied, steps: Sequence[Step], place: int) -> Applied:
        """The note with the step done."""
        step, noted = steps[place], note.steps[place]
        try:
            if noted.state == "pending":
                noted = replace(noted, state="doing", memo=await step.look(self.client))
                note = await self._save(note, place, noted)
            self.tell(f"  {step.title}")
            memo = dict(noted.memo)

            async def keep() -> None:
                nonlocal note
                note = await self._save(note, place, replace(noted, memo=dict(memo)))

            try:
                await step.do(self.client, memo, keep)
            finally:
                # Also what a step that failed has found out: taking it back needs it.
                await keep()
        except Exception as error:
            if not step.reversible:
                # It says that it failed: there is nothing to take back.
                note = await self._save(note, place, replace(note.steps[place], state="pending"))
            raise _StepFailed(note, f"step {place + 1}, {step.title}: {_told(error)}") from error
        return await self._save(note, place, replace(note.steps[place], state="done"))

    async def _save(self, note: Applied, place: int, step: StepNote) -> Applied:
        note = replace(note, steps=(*note.steps[:place], step, *note.steps[place + 1 :]))
        await self.applied.save(note)
        return note

    async def _give_up(
        self, note: Applied, steps: Sequence[Step], error: HanaxError | VectorError | _StepFailed
    ) -> None:
        """Undo what was done, and raise MigrationFailed."""
        note = error.note if isinstance(error, _StepFailed) else note
        note = replace(note, state="failed", error=error.message)
        await self.applied.save(note)
        await self._undo(note, steps)
        await self.applied.remove(note.name)
        raise MigrationFailed(f"{note.name}: {error.message}; what was done before it is undone") from error

    async def _take_up_again(self, file: MigrationFile, before: Applied) -> None:
        """Undo what an earlier process left."""
        if before.direction == "down":
            raise MigrationFailed(f"{file.name} is half taken back: `hana-x-migrate down` goes on with that")
        self.tell(f"{file.name}: was left unfinished; it is undone first")
        await self._undo(before, read_steps(file, "up"))
        await self.applied.remove(file.name)

    async def _undo(self, note: Applied, steps: Sequence[Step]) -> None:
        """Raises MigrationFailed where a step can't be taken back; the notes stay then."""
        for place in reversed(range(len(steps))):
            step, noted = steps[place], note.steps[place]
            if noted.state not in ("doing", "done"):
                continue
            self.tell(f"  undo: {step.title}")
            try:
                await step.undo(self.client, dict(noted.memo))
            except Exception as error:
                raise MigrationFailed(
                    f"{note.name}: {note.error or 'left unfinished'}; and step {place + 1}, {step.title}, "
                    f"could not be undone: {_told(error)}; mend that and run the command again"
                ) from error
            note = await self._save(note, place, replace(noted, state="undone"))

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """One at a time, from wherever it is run; the work ends when the lock is lost."""
        await self.applied.lock(_LOCK_S)
        work = asyncio.current_task()
        assert work is not None

        async def renew() -> None:
            try:
                while True:
                    await asyncio.sleep(_LOCK_S / 3)
                    await self.applied.renew(_LOCK_S)
            except HanaxError:
                work.cancel()

        renewing = asyncio.create_task(renew())
        try:
            yield
        except asyncio.CancelledError:
            if not renewing.done() or renewing.cancelled():
                raise
            raise MigrationLocked(
                "the lock was lost, and the work ended where it was: the next run goes on from its notes"
            ) from None
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self.applied.unlock()


class _StepFailed(Exception):
    """With the note as it was when the step failed."""

    def __init__(self, note: Applied, message: str) -> None:
        super().__init__(message)
        self.note = note
        self.message = message


def _told(error: Exception) -> str:
    if isinstance(error, HanaxError | VectorError):
        return error.message
    return f"{type(error).__name__}: {error}"


def read_steps(file: MigrationFile, direction: str) -> list[Step]:
    """Raises InvalidMigration: steps that fail to be told, or that follow one that has no way back."""
    steps = Steps()
    functions = file.load()
    try:
        (functions.up if direction == "up" else functions.down)(steps)
    except InvalidMigration as error:
        raise InvalidMigration(f"{file.path}: {error.message}", migration=file.name) from error
    except Exception as error:
        raise InvalidMigration(
            f"{file.path}: `{direction}`: {type(error).__name__}: {error}", migration=file.name
        ) from error
    if direction == "up":
        for step in steps.all[:-1]:
            if not step.reversible:
                raise InvalidMigration(
                    f"{file.path}: nothing may follow {step.title!r} in `up`, as it can't be undone: "
                    "make the rest a migration of its own",
                    migration=file.name,
                )
    return steps.all


def pending(
    files: Sequence[MigrationFile], applied: Iterable[Applied], target: str | None
) -> list[MigrationFile]:
    """What `up` would apply, in order. Raises NotFound for a target that is none."""
    there = {one.name for one in applied if one.state == "applied"}
    last = _last(files, target)
    return [file for file in files if file.name not in there and file.number <= last]


def _last(files: Sequence[MigrationFile], target: str | None) -> int:
    if target is not None:
        return find_file(files, target).number
    return max((file.number for file in files), default=0)


def _notes(steps: Sequence[Step]) -> tuple[StepNote, ...]:
    return tuple(StepNote(step.title, "pending", {}) for step in steps)
