"""The shard replicas of this node, kept as the routing table says.

One thread compares the newest table with what is open and closes, discards and opens until both
agree; tables that arrive meanwhile replace one another. Data that is no longer assigned is
closed and kept, and that of suspended collections is; only a table that lists the collection as deleted
has it removed. An open shard whose indexing or pinned metadata fields changed is told so; it stays open.

A replica that can't be opened doesn't keep the others from it: it stays failed, and every call
to it is answered with the reason. Damage stays until the process is started again; what may pass
(a full disk, a lock that another process holds) is tried again every _RETRY_S.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import structlog

from hanax.core.errors import (
    CollectionNotFound,
    HanaxError,
    Internal,
    InvalidArgument,
    StorageFull,
    Unavailable,
)
from hanax.core.routing import CollectionRoute, RoutingTable
from hanax.core.specs import CollectionSpec
from hanax.engine.shard.shard import Shard
from hanax.index_shard.folders import DataFolder

log = structlog.get_logger()

OpenShard = Callable[[Path, CollectionSpec], Shard]
# (collection uid, shard number)
Key = tuple[str, int]

_RETRY_S: Final = 2.0
# Opening reads and checks files: more at once would wait for the disk and for each other.
_OPENING_THREADS: Final = 4
_TRANSIENT: Final = (Unavailable, StorageFull)


@dataclass(frozen=True, slots=True)
class Replica:
    """One assigned shard: open when `shard` is there, else failed when `error` is, else still opening."""

    route: CollectionRoute
    number: int
    shard: Shard | None = None
    error: HanaxError | None = None

    @property
    def key(self) -> Key:
        return self.route.uid, self.number

    @property
    def state(self) -> Literal["open", "failed", "opening"]:
        return "open" if self.shard else "failed" if self.error else "opening"


class Replicas:
    """Give it tables with `follow`, from any thread, revisions ascending.

    Readers see whole dictionaries that are replaced, never changed, and take no lock.
    """

    def __init__(
        self,
        node: str,
        folder: DataFolder,
        open_shard: OpenShard,
        on_settled: Callable[[], None],
    ) -> None:
        """`on_settled` is called whenever all that the newest table asks has been tried once."""
        self._node = node
        self._folder = folder
        self._open_shard = open_shard
        self._on_settled = on_settled
        self._replicas: Mapping[Key, Replica] = {}
        self._table: RoutingTable | None = None
        self._route_by_uid: Mapping[str, CollectionRoute] = {}
        self._changed = threading.Condition()
        self._pending = False
        self._closed = False
        self._pool = ThreadPoolExecutor(_OPENING_THREADS, thread_name_prefix="opening")
        self._thread = threading.Thread(target=self._run, name="replicas", daemon=True)
        self._thread.start()

    def follow(self, table: RoutingTable) -> None:
        """Take the table as what should be. Returns at once."""
        with self._changed:
            self._route_by_uid = {route.uid: route for route in table.collections}
            self._table = table
            self._pending = True
            self._changed.notify()

    @property
    def revision(self) -> int | None:
        """Of the newest table; None before the first."""
        table = self._table
        return None if table is None else table.revision

    def knows(self, uid: str) -> bool:
        """Is the collection in the newest table?"""
        return uid in self._route_by_uid

    def find(self, name: str, uid: str, number: int) -> tuple[Shard, CollectionRoute]:
        """The open shard.

        Raises CollectionNotFound, CollectionSuspended, Unavailable, or why it couldn't be opened.
        """
        replica = self._replicas.get((uid, number))
        if replica is None:
            raise self._absence(name, uid, number)
        if replica.shard is not None:
            return replica.shard, replica.route
        if replica.error is not None:
            # A fresh one: an exception that is raised twice keeps the traceback of both.
            raise type(replica.error)(replica.error.message, **replica.error.details)
        raise Unavailable(f"shard {number} of collection {name!r} is being opened")

    def all(self) -> Iterator[Replica]:
        return iter(self._replicas.values())

    def close(self) -> None:
        """Wait for what is being opened, and close everything."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        replicas, self._replicas = self._replicas, {}
        list(self._pool.map(_close, replicas.values()))
        self._pool.shutdown()

    def _absence(self, name: str, uid: str, number: int) -> HanaxError:
        if self._table is None:
            return Unavailable(f"node {self._node!r} has not read a routing table yet")
        route = self._route_by_uid.get(uid)
        if route is None:
            return CollectionNotFound(f"there is no collection {name!r}", collection=name)
        if number >= len(route.shards):
            return InvalidArgument(f"collection {name!r} has {len(route.shards)} shards, not {number}")
        route.check_resumed()
        if self._node in route.shards[number].replicas:
            return Unavailable(f"shard {number} of collection {name!r} is not open yet")
        return Unavailable(f"shard {number} of collection {name!r} is not on node {self._node!r}")

    def _run(self) -> None:
        while (table := self._next_table()) is not None:
            try:
                self._reconcile(table)
            except Exception:
                # A step of its own failed (a folder that can't be moved): all is tried again.
                log.exception("the routing table is not applied", revision=table.revision)
                with self._changed:
                    self._changed.wait_for(lambda: self._pending or self._closed, _RETRY_S)
                    self._pending = True

    def _next_table(self) -> RoutingTable | None:
        """Wait for a newer table, or for the time to try again; None when closed."""
        failed = any(isinstance(replica.error, _TRANSIENT) for replica in self.all())
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closed, _RETRY_S if failed else None)
            self._pending = False
            return None if self._closed else self._table

    def _reconcile(self, table: RoutingTable) -> None:
        wanted = {
            (route.uid, shard.shard): Replica(route, shard.shard)
            for route, shard in table.assigned_to(self._node)
        }
        current = self._replicas
        unwanted = [replica for key, replica in current.items() if key not in wanted]
        missing = [
            replica
            for key, replica in wanted.items()
            if key not in current or isinstance(current[key].error, _TRANSIENT)
        ]
        # Not found any more before it closes, and found as opening before it opens.
        kept = {
            key: _follow_route(replica, wanted[key].route)
            for key, replica in current.items()
            if key in wanted
        }
        self._replicas = {replica.key: replica for replica in missing} | kept
        list(self._pool.map(_close, unwanted))
        for gone in table.deleted:
            if self._folder.discard(gone.name, gone.uid):
                log.info("collection removed", collection=gone.name, uid=gone.uid)
        opened = self._pool.map(self._open, missing)
        for replica in opened:
            self._replicas = {**self._replicas, replica.key: replica}
        self._on_settled()

    def _open(self, replica: Replica) -> Replica:
        spec, uid, number = replica.route.spec, replica.route.uid, replica.number
        place = {"collection": spec.name, "uid": uid, "shard": number}
        if self._closed:
            return replica
        try:
            shard = self._open_shard(self._folder.shard(spec.name, uid, number), spec)
        except HanaxError as error:
            failure = error
        except OSError as error:
            failure = Unavailable(f"shard {number} of {spec.name!r} can't be opened: {error}")
        except Exception as error:
            log.exception("shard not opened", **place)
            failure = Internal(f"{type(error).__name__} opening shard {number} of {spec.name!r}")
        else:
            log.info("shard opened", **place)
            return replace(replica, shard=shard)
        known = self._replicas[replica.key].error
        if known is None or known.message != failure.message:
            log.error("shard not opened", code=failure.code, error=failure.message, **place)
        return replace(replica, error=failure.with_traceback(None))


def _follow_route(replica: Replica, route: CollectionRoute) -> Replica:
    """The replica under a newer route. Its indexes are rebuilt in the background where they change."""
    shard, spec, known = replica.shard, route.spec, replica.route.spec
    if shard is not None:
        place = {"collection": spec.name, "uid": route.uid, "shard": replica.number}
        try:
            if spec.indexing != known.indexing:
                shard.set_indexing(spec.indexing)
                log.info("indexing changed", indexing=spec.indexing.model_dump(mode="json"), **place)
            if spec.payload_indexes != known.payload_indexes:
                shard.set_payload_indexes(spec.payload_indexes)
                log.info("payload indexes changed", payload_indexes=spec.payload_indexes, **place)
        except HanaxError as error:
            # The shard is damaged or gone: it goes by what it had, and says why when it is asked.
            log.error("indexing not changed", code=error.code, error=error.message, **place)
            return replica
    return replace(replica, route=route)


def _close(replica: Replica) -> None:
    if replica.shard is None:
        return
    try:
        replica.shard.close()
    except Exception:
        log.exception("shard not closed", collection=replica.route.spec.name, shard=replica.number)
    else:
        log.info("shard closed", collection=replica.route.spec.name, shard=replica.number)
