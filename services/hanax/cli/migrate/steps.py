"""What a migration does: steps, each of which can say what it will do, do it, and take it back.

A process may end between doing a step and noting it: taking back a step that was not done does no harm.
`memo` holds what taking it back needs; it is noted before the step is done, and once more after it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote

from hanax.cli.api import Api
from hanax.core.errors import (
    AliasNotFound,
    CollectionExists,
    CollectionNotFound,
    FailedPrecondition,
    InvalidMigration,
)

Memo = dict[str, Any]
Note = Callable[[], Awaitable[None]]
Action = Callable[[Api], Awaitable[None] | None]

_COLLECTIONS: Final = "/api/v1/collections"
_ALIASES: Final = "/api/v1/aliases"
_JOBS: Final = "/api/v1/jobs"
_JOB_POLL_S: Final = 0.5
_LOOKED_AT: Final = 1_000
_JOB_ENDS: Final = ("succeeded", "partial", "failed", "cancelled")
_CHANGEABLE: Final = ("index", "quantisation", "target_recall", "payload_indexes")


class Step(Protocol):
    """title: what it does, in a few words. reversible: whether `undo` gives back what was there."""

    @property
    def title(self) -> str: ...
    @property
    def reversible(self) -> bool: ...
    async def look(self, api: Api) -> Memo:
        """What is there before. Raises what would make the step fail, as far as it can be known."""
        ...

    async def do(self, api: Api, memo: Memo, note: Note) -> None:
        """note: keeps what the memo has by now, before a step that takes long goes on."""
        ...

    async def undo(self, api: Api, memo: Memo) -> None: ...


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

    async def look(self, api: Api) -> Memo:
        if await _described(api, self.name) is not None:
            raise CollectionExists(f"collection {self.name!r} exists already", collection=self.name)
        return {}

    async def do(self, api: Api, memo: Memo, note: Note) -> None:
        created = await api.post(_COLLECTIONS, self.spec)
        memo["uid"] = created["uid"]

    async def undo(self, api: Api, memo: Memo) -> None:
        """Where nobody noted the uid, only an empty collection is taken to be the one made here."""
        there = await _described(api, self.name)
        if there is None or there["uid"] != memo.get("uid", there["uid"]):
            return
        if "uid" not in memo and there["points"]:
            raise FailedPrecondition(
                f"collection {self.name!r} was being created when this ended, and has points now: "
                "delete or keep it yourself"
            )
        await api.delete(f"{_COLLECTIONS}/{quote(self.name, safe='')}")


@dataclass(frozen=True, slots=True)
class DeleteCollection:
    """Its points are gone for good."""

    name: str
    reversible: bool = False

    @property
    def title(self) -> str:
        return f"delete collection {self.name} and its points"

    async def look(self, api: Api) -> Memo:
        there = await _described(api, self.name)
        return {"points": None if there is None else there["points"]}

    async def do(self, api: Api, memo: Memo, note: Note) -> None:
        if await _described(api, self.name) is not None:
            await api.delete(f"{_COLLECTIONS}/{quote(self.name, safe='')}")

    async def undo(self, api: Api, memo: Memo) -> None:
        if await _described(api, self.name) is None:
            raise FailedPrecondition(f"collection {self.name!r} is deleted; its points can't be brought back")


@dataclass(frozen=True, slots=True)
class ChangeCollection:
    name: str
    change: dict[str, Any]
    reversible: bool = True

    @property
    def title(self) -> str:
        return f"change {', '.join(self.change)} of collection {self.name}"

    async def look(self, api: Api) -> Memo:
        there = await api.get(f"{_COLLECTIONS}/{quote(self.name, safe='')}")
        return {"before": {name: there[name] for name in self.change}}

    async def do(self, api: Api, memo: Memo, note: Note) -> None:
        await api.patch(f"{_COLLECTIONS}/{quote(self.name, safe='')}", self.change)

    async def undo(self, api: Api, memo: Memo) -> None:
        await api.patch(f"{_COLLECTIONS}/{quote(self.name, safe='')}", memo["before"])


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

    async def look(self, api: Api) -> Memo:
        return {"before": await _target(api, self.alias)}

    async def do(self, api: Api, memo: Memo, note: Note) -> None:
        await _point(api, self.alias, self.collection)

    async def undo(self, api: Api, memo: Memo) -> None:
        await _point(api, self.alias, memo["before"])


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

    async def look(self, api: Api) -> Memo:
        await api.get(f"{_COLLECTIONS}/{quote(self.source, safe='')}")
        if await _described(api, self.target) is not None:
            raise CollectionExists(f"collection {self.target!r} exists already", collection=self.target)
        return {}

    async def do(self, api: Api, memo: Memo, note: Note) -> None:
        ordered = {
            "kind": "reembed",
            "collection": self.source,
            "target": self.target,
            "model": self.model,
            "text_field": self.text_field,
        }
        job = await api.post(_JOBS, ordered)
        memo["job"] = job["job_id"]
        await note()
        while job["state"] not in _JOB_ENDS:
            await asyncio.sleep(_JOB_POLL_S)
            job = await api.get(f"{_JOBS}/{memo['job']}")
        if job["state"] != "succeeded":
            reason = (job.get("error") or {}).get("message") or f"it ended {job['state']}"
            raise FailedPrecondition(f"job {memo['job']}: {reason}", job=memo["job"])

    async def undo(self, api: Api, memo: Memo) -> None:
        """Also of a job that was ordered, and not noted: the answer may have been lost."""
        for job in (await api.get(f"{_JOBS}?limit={_LOOKED_AT}"))["jobs"]:
            if job["kind"] == "reembed" and job["spec"].get("target") == self.target:
                memo.setdefault("job", job["job_id"])
                if job["state"] not in _JOB_ENDS:
                    await api.delete(f"{_JOBS}/{job['job_id']}")
        if "job" in memo and await _described(api, self.target) is not None:
            await api.delete(f"{_COLLECTIONS}/{quote(self.target, safe='')}")


@dataclass(frozen=True, slots=True)
class Call:
    """Functions of the migration's own, plain or asynchronous, that are handed the API."""

    title: str
    action: Action
    inverse: Action | None

    @property
    def reversible(self) -> bool:
        return self.inverse is not None

    async def look(self, api: Api) -> Memo:
        return {}

    async def do(self, api: Api, memo: Memo, note: Note) -> None:
        await _run(self.action, api)

    async def undo(self, api: Api, memo: Memo) -> None:
        if self.inverse is None:
            raise FailedPrecondition(f"step {self.title!r} says no way back: give it `undo`")
        await _run(self.inverse, api)


@dataclass(slots=True)
class Steps:
    """What `up` and `down` are handed: it takes down what they ask for, and does nothing yet."""

    all: list[Step] = field(default_factory=list)

    def create_collection(self, name: str, **spec: Any) -> None:
        """spec: as POST /api/v1/collections takes it, without the name."""
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
        """Both may be asked for twice, and have to stand that. Without `undo`, there is no way back."""
        self.all.append(Call(title, do, undo))


async def _run(action: Action, api: Api) -> None:
    # In a thread: one that takes long must not keep the lock from being renewed.
    ran = await asyncio.to_thread(action, api)
    if inspect.isawaitable(ran):
        await ran


async def _described(api: Api, name: str) -> dict[str, Any] | None:
    try:
        return dict(await api.get(f"{_COLLECTIONS}/{quote(name, safe='')}"))
    except CollectionNotFound:
        return None


async def _target(api: Api, alias: str) -> str | None:
    try:
        return str((await api.get(f"{_ALIASES}/{quote(alias, safe='')}"))["collection"])
    except AliasNotFound:
        return None


async def _point(api: Api, alias: str, collection: str | None) -> None:
    if collection is not None:
        await api.put(f"{_ALIASES}/{quote(alias, safe='')}", {"collection": collection})
    elif await _target(api, alias) is not None:
        await api.delete(f"{_ALIASES}/{quote(alias, safe='')}")
