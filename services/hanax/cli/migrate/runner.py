"""Doing migrations and taking them back, with a note in the database before and after each step.

A step that fails is named, and those before it are undone, the last one first. A process that ends in the
middle leaves its notes: the next one that runs undoes what was begun upwards, and goes on with what was begun
downwards, and with what was begun upwards and has no way back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hanax.cli.migrate.checks import Checks
from hanax.cli.migrate.files import MigrationFile
from hanax.cli.migrate.history import check_history
from hanax.cli.migrate.lock import locked
from hanax.cli.migrate.plans import (
    TakenBack,
    fresh_notes,
    pending,
    read_checks,
    read_steps,
    resumed,
    storable,
    taken_back,
)
from hanax.cli.migrate.steps import NoWayBack, Step
from hanax.core.errors import FailedPrecondition, HanaxError, MigrationFailed
from hanax.metadata.applied_migrations import Applied, AppliedMigrations, StepNote
from hxp_vector_client import AsyncVectorClient, VectorError

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

        Raises MigrationLocked, MigrationEdited, InvalidMigration and MigrationFailed; before anything is done
        what keeps the gateway from being asked at all.
        """
        async with locked(self.applied):
            done: list[str] = []
            known = {one.name: one for one in await self.applied.all()}
            check_history(files, known.values())
            wanted = pending(files, known.values(), target)
            left = [(file, known[file.name]) for file in files if file.name in known]
            left = [(file, one) for file, one in left if one.state != "applied"]
            # Before anything is done: one that is not well-formed stops those before it, too.
            for file in wanted:
                read_steps(file, "up")
                read_checks(file)
            if wanted or left:
                await self._reach()
            for file, one in left:
                done += await self._take_up_again(file, one)
            now = await self.applied.all()
            check_history(files, now)
            for file in pending(files, now, target):
                await self._apply(file)
                done.append(file.name)
            return done

    async def down(self, files: Sequence[MigrationFile], count: int, lose: bool) -> list[str]:
        """Take back the last `count` that are applied; their names. lose: also where points are lost.

        Raises what `up` does, and before anything is done FailedPrecondition where `lose` has to be said.
        """
        async with locked(self.applied):
            known = await self.applied.all()
            check_history(files, known)
            planned = taken_back(files, known, count)
            losses = [title for one in planned for title in one.losses]
            if losses and not lose:
                raise FailedPrecondition(f"this can't be undone: {'; '.join(losses)}. Say --yes to do it")
            if planned:
                await self._reach()
            for one in planned:
                # An unfinished one is only undone: its `down` would take away what it never made.
                await (self._undo_unfinished(one) if one.undoes else self._revert(one))
            return [one.file.name for one in planned]

    async def _reach(self) -> None:
        """A gateway that is away, or refuses the key, is no fault of a step."""
        await self.client.aliases.list()

    async def _apply(self, file: MigrationFile) -> None:
        steps = read_steps(file, "up")
        self.tell(f"{file.name}: up")
        note = Applied(
            file.name, file.checksum, "up", "running", fresh_notes(steps), began_at_us=self.now_us()
        )
        await self._finish(file, note, steps)

    async def _finish(self, file: MigrationFile, note: Applied, steps: Sequence[Step]) -> None:
        """Do what is not done yet, see that it is as expected, and note the whole as applied."""
        checks = read_checks(file)
        await self.applied.save(note)
        try:
            for place in range(len(steps)):
                if note.steps[place].state != "done":
                    note = await self._do(note, steps, place)
            await self._check(checks)
        except asyncio.CancelledError:
            self.tell(f"{file.name}: broken off; the next `up` or `down` undoes what was done of it")
            raise
        except Exception as error:
            await self._give_up(note, steps, error)
        await self.applied.save(replace(note, state="applied", error=None, ended_at_us=self.now_us()))

    async def _check(self, checks: Checks) -> None:
        for check in checks.all:
            try:
                problem = await check(self.client)
            except Exception as error:
                raise MigrationFailed(f"`validate`: {_told(error)}") from error
            if problem:
                raise MigrationFailed(f"not as `validate` expects: {problem}")

    async def _give_up(self, note: Applied, steps: Sequence[Step], error: Exception) -> None:
        """Undo what was done, and raise MigrationFailed."""
        note = error.note if isinstance(error, _StepFailed) else note
        note = replace(note, state="failed", error=_told(error))
        try:
            await self.applied.save(note)
        except HanaxError as lost:
            raise type(lost)(f"{note.name}: {note.error}; the next `up` undoes what was done") from error
        try:
            await self._undo(note, steps)
        except NoWayBack as reason:
            raise MigrationFailed(
                f"{note.name}: {note.error}; it can't be undone ({reason}): "
                "mend that, and `up` goes on with it"
            ) from error
        await self.applied.remove(note.name)
        raise MigrationFailed(f"{note.name}: {note.error}; what was done before it is undone") from error

    async def _take_up_again(self, file: MigrationFile, before: Applied) -> list[str]:
        """End what an earlier process left; the name, where it is applied now."""
        if before.direction == "down":
            if any(step.state != "pending" for step in before.steps):
                raise MigrationFailed(
                    f"{file.name} is half taken back: `hana-x-migrate down` goes on with that"
                )
            # Nothing of it was: it is what it was before.
            await self.applied.save(replace(before, direction="up", state="applied", steps=(), error=None))
            return []
        steps = read_steps(file, "up")
        note = resumed(file, before, steps)
        try:
            self.tell(f"{file.name}: was left unfinished; it is undone first")
            await self._undo(note, steps)
        except NoWayBack as reason:
            self.tell(f"{file.name}: goes on, as there is no way back: {reason}")
            await self._finish(file, replace(note, state="running"), steps)
            return [file.name]
        await self.applied.remove(file.name)
        return []

    async def _undo_unfinished(self, one: TakenBack) -> None:
        self.tell(f"{one.file.name}: was left unfinished; it is undone first")
        try:
            await self._undo(one.note, one.steps)
        except NoWayBack as reason:
            raise MigrationFailed(
                f"{one.file.name} was left unfinished, and can't be undone: {reason}; `up` goes on with it"
            ) from reason
        await self.applied.remove(one.file.name)

    async def _revert(self, one: TakenBack) -> None:
        name, note = one.file.name, one.note
        self.tell(f"{name}: down")
        if note.state == "applied":
            note = replace(note, direction="down", steps=fresh_notes(one.steps))
        note = replace(note, state="running", error=None)
        await self.applied.save(note)
        try:
            for place in one.left:
                note = await self._do(note, one.steps, place)
        except _StepFailed as error:
            await self.applied.save(replace(error.note, state="failed", error=error.message))
            raise MigrationFailed(
                f"{name}: {error.message}; the steps before it are done: `down` goes on from there"
            ) from error
        except asyncio.CancelledError:
            self.tell(f"{name}: broken off; the next `down` goes on from there")
            raise
        await self.applied.remove(name)

    async def _do(self, note: Applied, steps: Sequence[Step], place: int) -> Applied:
        """The note with the step done. Raises _StepFailed."""
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

    async def _undo(self, note: Applied, steps: Sequence[Step]) -> None:
        """Raises MigrationFailed where a step can't be taken back; the notes stay then.

        Raises NoWayBack where it never can, with nothing undone: only the last step may be such a one.
        """
        for place in reversed(range(len(steps))):
            step, noted = steps[place], note.steps[place]
            if noted.state not in ("doing", "done"):
                continue
            self.tell(f"  undo: {step.title}")
            try:
                await step.undo(self.client, dict(noted.memo))
            except NoWayBack:
                raise
            except Exception as error:
                raise MigrationFailed(
                    f"{note.name}: {note.error or 'left unfinished'}; and step {place + 1}, {step.title}, "
                    f"could not be undone: {_told(error)}; mend that and run the command again"
                ) from error
            note = await self._save(note, place, replace(noted, state="undone"))


class _StepFailed(Exception):
    """With the note as it was when the step failed."""

    def __init__(self, note: Applied, message: str) -> None:
        super().__init__(message)
        self.note = note
        self.message = message


def _told(error: Exception) -> str:
    if isinstance(error, HanaxError | VectorError | _StepFailed):
        return storable(error.message)
    return storable(f"{type(error).__name__}: {error}")
