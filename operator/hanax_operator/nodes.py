"""What index-shards say of themselves, asked at their pods and kept for a moment.

A pod whose shards are settled is asked seldom, one that is about to change often: nobody waits for a
reconcile to find that a shard is open. Answers are asked for side by side, with a bound, and each with a
deadline, so that one pod that hangs holds up nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import httpx

from hanax.core.errors import DataLoss, Unavailable
from hanax.core.node_state import NodeState, ReplicaState
from hanax.core.resources.names import SHARD_METRICS_PORT

# A pod answers from memory; one that takes longer is not well.
_DEADLINE_S = 2.0
_SIDE_BY_SIDE = 32
# 2,000 replicas take about 700 KB.
_MAX_ANSWER_BYTES = 16 * 1024 * 1024

# While shards open, restart or go.
_UNSETTLED_PAUSE_S = 0.5

Fetch = Callable[[str], Awaitable[NodeState]]


@dataclass(frozen=True)
class Seen:
    """A node's last answer. `address`: of the pod that gave it; another pod of the name is another node."""

    address: str
    asked_s: float
    state: NodeState | None
    error: str = ""


class NodeStates:
    """`clock_s` is monotonic. `settled_pause_s`: how often a node that needs nothing is asked."""

    def __init__(self, fetch: Fetch, clock_s: Callable[[], float], settled_pause_s: float) -> None:
        self._fetch = fetch
        self._clock_s = clock_s
        self._settled_pause_s = settled_pause_s
        self._seen: dict[str, Seen] = {}
        self._slots = asyncio.Semaphore(_SIDE_BY_SIDE)

    def get(self, node: str) -> NodeState | None:
        """What the node says now, as far as is known; None when its last answer failed."""
        seen = self._seen.get(node)
        return None if seen is None else seen.state

    def error(self, node: str) -> str:
        """Why the node did not answer, empty when it did."""
        seen = self._seen.get(node)
        return "" if seen is None else seen.error

    def pool(self, stateful_set: str) -> dict[str, NodeState]:
        """What the pods of the pool say, of those that answer. Empty name: there is no pool."""
        return {
            node: seen.state
            for node, seen in self._seen.items()
            if seen.state is not None and stateful_set and node.rpartition("-")[0] == stateful_set
        }

    def latest_revision(self) -> int:
        """The latest routing table that any node follows."""
        told = (seen.state.revision or 0 for seen in self._seen.values() if seen.state is not None)
        return max(told, default=0)

    async def look(self, addresses: Mapping[str, str], revision: int) -> set[tuple[str, str]]:
        """Ask the nodes that are due. `addresses`: of the pods that have one, by node.

        `revision`: of the table in force, which a settled node follows. Returns the node and collection of
        every replica that changed; the collection is "" when the node itself did, by answering or not.
        """
        changed: set[tuple[str, str]] = set()
        for node in [node for node, seen in self._seen.items() if addresses.get(node) != seen.address]:
            gone = self._seen.pop(node)
            changed |= _changes(node, gone.state, None)
        now = self._clock_s()
        due = [node for node in addresses if self._is_due(node, revision, now)]
        answers = await asyncio.gather(*(self._ask(node, addresses[node]) for node in due))
        for node, answer in zip(due, answers, strict=True):
            before = self._seen.get(node)
            self._seen[node] = answer
            changed |= _changes(node, None if before is None else before.state, answer.state)
        return changed

    def _is_due(self, node: str, revision: int, now_s: float) -> bool:
        seen = self._seen.get(node)
        if seen is None:
            return True
        pause = self._settled_pause_s if is_settled(seen.state, revision) else _UNSETTLED_PAUSE_S
        return now_s - seen.asked_s >= pause

    async def _ask(self, node: str, address: str) -> Seen:
        async with self._slots:
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    state = await self._fetch(address)
            except (DataLoss, Unavailable, TimeoutError) as error:
                return Seen(address, self._clock_s(), None, str(error) or "it did not answer in time")
        if state.node != node:
            return Seen(address, self._clock_s(), None, f"{address} is {state.node}, not {node}")
        return Seen(address, self._clock_s(), state)


def is_settled(state: NodeState | None, revision: int) -> bool:
    """Whether a node follows the table in force and nothing about it is about to change."""
    return (
        state is not None
        and (state.revision or 0) >= revision
        and all(replica.state == "open" for replica in state.replicas)
    )


def _changes(node: str, before: NodeState | None, after: NodeState | None) -> set[tuple[str, str]]:
    # A revision alone concerns nobody: else each new collection would wake all others of the node.
    if before == after:
        return set()
    old, new = _by_replica(before), _by_replica(after)
    names = {replica[0] for replica in old.keys() | new.keys() if old.get(replica) != new.get(replica)}
    changed = {(node, name) for name in names}
    if (before is None) != (after is None):
        changed.add((node, ""))
    return changed


def _by_replica(state: NodeState | None) -> dict[tuple[str, str, int], ReplicaState]:
    replicas: Iterable[ReplicaState] = () if state is None else state.replicas
    return {(replica.collection, replica.uid, replica.shard): replica for replica in replicas}


def http_fetch(client: httpx.AsyncClient) -> Fetch:
    """Ask a pod by its IP address. Raises Unavailable, or DataLoss for an answer that is no node state."""

    async def fetch(address: str) -> NodeState:
        host = f"[{address}]" if ":" in address else address
        try:
            async with client.stream("GET", f"http://{host}:{SHARD_METRICS_PORT}/state") as answer:
                if answer.status_code != 200:
                    raise Unavailable(f"/state answered {answer.status_code}")
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise DataLoss(f"/state answered more than {_MAX_ANSWER_BYTES} bytes")
        except httpx.HTTPError as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from None
        return NodeState.parse(bytes(body))

    return fetch
