"""The control loop: catalog folder and running nodes in, routing table file out.

Level by level: whatever changed, the table is planned anew from what is there now, and written
only when it differs. What can't be read or written is logged once and tried again; the table in
force stays.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import ValidationError

from hanax.core.errors import DataLoss
from hanax.core.model_routes import ModelRoute
from hanax.core.planning import Observation, plan
from hanax.core.routing import NodeRoute, RoutingTable
from hanax.runtime.catalog_folder import ALIASES, CatalogFolder
from hanax.runtime.routing_file import write_routing_file

log = structlog.get_logger()

# A collection should be routed within 100 ms of its creation. One stat costs microseconds.
_POLL_S = 0.05

# Twice the pause of runtime.routing_file.
_SETTLE_S = 0.1

# A folder's time stamp is as coarse as the kernel's tick: look again while it is this young.
_YOUNG_NS = 1_000_000_000

# A file edited in place doesn't touch its folder's time stamp.
_FULL_LOOK_S = 2.0

# After a failure, so that a full disk isn't hammered.
_FAILED_PAUSE_S = 1.0

Nodes = Callable[[], tuple[NodeRoute, ...]]
Signature = tuple[tuple[str, int, int, int], ...]
Observed = tuple[Signature, tuple[NodeRoute, ...], tuple[ModelRoute, ...]]


def read_table(path: Path) -> RoutingTable:
    """Return the table in force, an empty one where there is none yet. Raises DataLoss.

    Never planned anew over a damaged file: it alone knows where each shard's data lies.
    """
    try:
        return RoutingTable.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return RoutingTable()
    except ValidationError as error:
        raise DataLoss(
            f"{path} is damaged ({error.error_count()} errors) and names the places of all data; "
            "restore it from a copy",
            path=str(path),
        ) from None


class Controller:
    """Owns the routing file. `models` may be assigned at any time; the next look takes it up."""

    def __init__(self, catalog: Path, routing_file: Path, nodes: Nodes, clock_s: Callable[[], float]) -> None:
        """Raises DataLoss when the routing file is damaged."""
        self._folder = catalog
        self._catalog = CatalogFolder(catalog)
        self._file = routing_file
        self._nodes = nodes
        self._clock_s = clock_s
        self.table = read_table(routing_file)
        self.models: tuple[ModelRoute, ...] = ()
        self._changed_at = clock_s()
        self._planned: Observed | None = None
        self._folder_time = -1
        self._signature: Signature = ()
        self._full_look_at = 0.0
        self._complaints: dict[str, str] = {}

    def reconcile(self) -> bool:
        """Plan, and write when something changed. True when a new revision is in force.

        Raises FailedPrecondition (see `plan`) and OSError; the table in force stays then.
        """
        observed = self._observe()
        if observed == self._planned:
            return False
        declared = self._catalog.declared()
        self._complain(declared.damaged)
        seen = Observation(declared.entries, declared.damaged, observed[1], observed[2], declared.aliases)
        table = plan(self.table, seen)
        if table is not None:
            write_routing_file(self._file, table)
            self.table = table
            self._changed_at = self._clock_s()
            log.info("routing table", revision=table.revision, collections=len(table.collections))
        self._planned = observed
        return table is not None

    def is_settled(self) -> bool:
        """Whether models are in the table in force, and its followers had the time to take it up."""
        models = self.table.models
        in_force = bool(models) and set(models) == set(self.models)
        return in_force and self._clock_s() - self._changed_at > _SETTLE_S

    async def follow(self) -> None:
        """Reconcile until cancelled."""
        failure = ""
        while True:
            try:
                if self._observe() != self._planned:
                    # Aside, because writing waits for the disk.
                    await asyncio.to_thread(self.reconcile)
                failure = ""
                await asyncio.sleep(_POLL_S)
            except Exception as error:
                if str(error) != failure:
                    failure = str(error)
                    log.error("routing table not renewed", error=failure, kind=type(error).__name__)
                await asyncio.sleep(_FAILED_PAUSE_S)

    def _observe(self) -> Observed:
        return self._look(), self._nodes(), self.models

    def _look(self) -> Signature:
        """Fingerprint the folder, by one stat where that is enough."""
        changed = self._folder.stat().st_mtime_ns
        young = time.time_ns() - changed < _YOUNG_NS
        now = self._clock_s()
        if changed != self._folder_time or young or now >= self._full_look_at:
            with os.scandir(self._folder) as found:
                files = [entry for entry in found if entry.name.endswith(".json") or entry.name == ALIASES]
            self._signature = tuple(sorted(filter(None, map(_mark_of, files))))
            self._folder_time = changed
            self._full_look_at = now + _FULL_LOOK_S
        return self._signature

    def _complain(self, damaged: dict[str, str]) -> None:
        for name, reason in damaged.items():
            if self._complaints.get(name) != reason:
                log.error("catalog file is damaged, its route is kept", collection=name, error=reason)
        self._complaints = damaged


def _mark_of(entry: os.DirEntry[str]) -> tuple[str, int, int, int] | None:
    try:
        status = entry.stat()
    except FileNotFoundError:
        return None
    return entry.name, status.st_mtime_ns, status.st_ino, status.st_size
