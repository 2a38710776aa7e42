"""What a migration does: steps, each of which can say what it will do, do it, and take it back.

A process may end between doing a step and noting it: taking back a step that was not done does no harm, and
no more does doing one again that has no way back. `memo` holds what both need; it is noted before the step is
done, and once more after it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hanax.core.errors import CollectionExists, FailedPrecondition
from hxp_vector_client import AsyncVectorClient
from hxp_vector_client.errors import AliasNotFound, CollectionNotFound
from hxp_vector_client.models import CollectionStats, Job

Memo = dict[str, Any]
Note = Callable[[], Awaitable[None]]
Action = Callable[[AsyncVectorClient], Awaitable[None] | None]

_LOOKED_AT: Final = 1_000
# The largest collections take days.
_LONGEST_JOB_S: Final = 30 * 86_400.0


class Step(Protocol):
    """title: what it does, in a few words. reversible: whether `undo` gives back what was there.

    One that does not has an `undo` that asks whether it was done at all.
    """

    @property
    def title(self) -> str: ...
    @property
    def reversible(self) -> bool: ...
    async def look(self, client: AsyncVectorClient) -> Memo:
        """What is there before. Raises what would make the step fail, as far as it can be known."""
        ...

    async def do(self, client: AsyncVectorClient, memo: Memo, note: Note) -> None:
        """note: keeps what the memo has by now, before a step that takes long goes on."""
        ...

    async def undo(self, client: AsyncVectorClient, memo: Memo) -> None:
        """Raises NoWayBack."""
        ...


class NoWayBack(Exception):
    """A step was done, or may have been, that can't be undone."""


@dataclass(frozen=True, slots=True)
class CreateCollection:
    spec: dict[str, Any]
    reversible: bool = True

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def title(self) -> str:
        return f"create collection {self.name}"

    async def look(self, client: AsyncVectorClient) -> Memo:
        if await _described(client, self.name) is not None:
            raise CollectionExists(f"collection {self.name!r} exists already", collection=self.name)
        return {}

    async def do(self, client: AsyncVectorClient, memo: Memo, note: Note) -> None:
        options = {name: value for name, value in self.spec.items() if name not in ("name", "dimension")}
        created = await client.collections.create(self.name, self.spec["dimension"], **options)
        memo["uid"] = created.uid

    async def undo(self, client: AsyncVectorClient, memo: Memo) -> None:
        """Where nobody noted the uid, only an empty collection is taken to be the one made here."""
        there = await _described(client, self.name)
        if there is None or there.uid != memo.get("uid", there.uid):
            return
        if "uid" not in memo and there.points:
            raise FailedPrecondition(
                f"collection {self.name!r} was being created when this ended, and has points now: "
                "delete or keep it yourself"
            )
        await client.collections.delete(self.name)


@dataclass(frozen=True, slots=True)
class DeleteCollection:
    """Its points are gone for good."""

    name: str
    reversible: bool = False

    @property
    def title(self) -> str:
        return f"delete collection {self.name} and its points"

    async def look(self, client: AsyncVectorClient) -> Memo:
        there = await _described(client, self.name)
        return {"uid": None if there is None else there.uid}

    async def do(self, client: AsyncVectorClient, memo: Memo, note: Note) -> None:
        """That very collection: one that somebody made anew since is another's."""
        there = await _described(client, self.name)
        if there is not None and there.uid == memo.get("uid", there.uid):
            await client.collections.delete(self.name)

    async def undo(self, client: AsyncVectorClient, memo: Memo) -> None:
        there = await _described(client, self.name)
        if memo.get("uid", "") is not None and (there is None or there.uid != memo.get("uid", there.uid)):
            raise NoWayBack(f"collection {self.name!r} is deleted, and its points with it")


@dataclass(frozen=True, slots=True)
class ChangeCollection:
    name: str
    change: dict[str, Any]
    reversible: bool = True

    @property
    def title(self) -> str:
        return f"change {', '.join(self.change)} of collection {self.name}"

    async def look(self, client: AsyncVectorClient) -> Memo:
        there = (await client.collections.get(self.name)).model_dump(mode="json")
        return {"before": {name: there[name] for name in self.change}}

    async def do(self, client: AsyncVectorClient, memo: Memo, note: Note) -> None:
        await client.collections.update(self.name, **self.change)

    async def undo(self, client: AsyncVectorClient, memo: Memo) -> None:
        await client.collections.update(self.name, **memo["before"])


@dataclass(frozen=True, slots=True)
class PointAlias:
    """collection: None removes the alias."""

    alias: str
    collection: str | None
    reversible: bool = True

    @property
    def title(self) -> str:
        if self.collection is None:
            return f"remove alias {self.alias}"
        return f"point alias {self.alias} to {self.collection}"

    async def look(self, client: AsyncVectorClient) -> Memo:
        return {"before": await _target(client, self.alias)}

    async def do(self, client: AsyncVectorClient, memo: Memo, note: Note) -> None:
        await _point(client, self.alias, self.collection)

    async def undo(self, client: AsyncVectorClient, memo: Memo) -> None:
        await _point(client, self.alias, memo["before"])


@dataclass(frozen=True, slots=True)
class Reembed:
    """All points of `source` in a new collection, with vectors of another model."""

    source: str
    target: str
    model: str
    text_field: str
    reversible: bool = True

    @property
    def title(self) -> str:
        return f"embed {self.source} again with {self.model} into {self.target}"

    async def look(self, client: AsyncVectorClient) -> Memo:
        await client.collections.get(self.source)
        if await _described(client, self.target) is not None:
            raise CollectionExists(f"collection {self.target!r} exists already", collection=self.target)
        return {"earlier": [job.job_id for job in await self._jobs(client)]}

    async def do(self, client: AsyncVectorClient, memo: Memo, note: Note) -> None:
        job = await client.jobs.submit(
            "reembed",
            collection=self.source,
            target=self.target,
            model=self.model,
            text_field=self.text_field,
        )
        memo["job"] = job.job_id
        await note()
        job = await client.jobs.wait(job, timeout_s=_LONGEST_JOB_S)
        if job.state != "succeeded":
            reason = f"it ended {job.state}" if job.error is None else job.error.message
            raise FailedPrecondition(f"job {job.job_id}: {reason}", job=job.job_id)

    async def undo(self, client: AsyncVectorClient, memo: Memo) -> None:
        """Also of a job that was ordered, and not noted: the answer may have been lost."""
        for job in await self._jobs(client):
            if job.job_id in memo.get("earlier", ()):
                continue
            memo.setdefault("job", job.job_id)
            if not job.ended:
                await client.jobs.cancel(job)
        if "job" in memo and await _described(client, self.target) is not None:
            await client.collections.delete(self.target)

    async def _jobs(self, client: AsyncVectorClient) -> list[Job]:
        """Those among the newest that embed into this target."""
        newest = await client.jobs.list(limit=_LOOKED_AT)
        return [job for job in newest if job.kind == "reembed" and job.spec.get("target") == self.target]


@dataclass(frozen=True, slots=True)
class Call:
    """Functions of the migration's own, plain or asynchronous, that are handed the client."""

    title: str
    action: Action
    inverse: Action | None

    @property
    def reversible(self) -> bool:
        return self.inverse is not None

    async def look(self, client: AsyncVectorClient) -> Memo:
        return {}

    async def do(self, client: AsyncVectorClient, memo: Memo, note: Note) -> None:
        await _run(self.action, client)

    async def undo(self, client: AsyncVectorClient, memo: Memo) -> None:
        if self.inverse is None:
            raise NoWayBack(f"step {self.title!r} says no way back")
        await _run(self.inverse, client)


async def _run(action: Action, client: AsyncVectorClient) -> None:
    def begin() -> Awaitable[None] | None:
        with _no_exit():
            return action(client)

    # In a thread: one that takes long must not keep the lock from being renewed.
    running = asyncio.ensure_future(asyncio.to_thread(begin))
    try:
        ran = await asyncio.shield(running)
    except asyncio.CancelledError:
        # A thread can't be told to stop, and the lock is to be held for as long as it works.
        await asyncio.gather(running, return_exceptions=True)
        raise
    if inspect.isawaitable(ran):
        with _no_exit():
            await ran


@contextmanager
def _no_exit() -> Iterator[None]:
    """That of a migration would end the event loop in the middle of a step."""
    try:
        yield
    except SystemExit as end:
        raise FailedPrecondition(f"it asked for the end of the process: SystemExit({end.code})") from None


async def _described(client: AsyncVectorClient, name: str) -> CollectionStats | None:
    try:
        return await client.collections.get(name)
    except CollectionNotFound:
        return None


async def _target(client: AsyncVectorClient, alias: str) -> str | None:
    try:
        return await client.aliases.get(alias)
    except AliasNotFound:
        return None


async def _point(client: AsyncVectorClient, alias: str, collection: str | None) -> None:
    if collection is not None:
        await client.aliases.set(alias, collection)
    elif await _target(client, alias) is not None:
        await client.aliases.delete(alias)
