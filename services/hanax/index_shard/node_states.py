"""What this node tells at /state: who places and watches shards decides by it.

Which replicas there are, their generation and whether they are open is told as it is now. What a shard holds
costs some 0.1 ms to find out, so with thousands of them that part may be some seconds old.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from hanax.core.errors import HanaxError
from hanax.core.node_state import NodeState, ReplicaState
from hanax.engine.shard.shard import Shard
from hanax.index_shard.replicas import Key, Replica, Replicas

# What shards hold is asked anew after so long, or after so many times what asking them all took:
# however often somebody looks, it costs a twentieth of a core at most.
_KEEP_S: Final = 0.5
_KEEP_TIMES: Final = 20

Contents = dict[str, Any]


class NodeStates:
    """For any thread. One asks the shards, and the others wait for what it finds."""

    def __init__(self, node: str, replicas: Replicas, clock: Callable[[], float]) -> None:
        self._node = node
        self._replicas = replicas
        self._clock = clock
        self._asking = threading.Lock()
        self._contents: dict[Key, tuple[Shard, Contents]] = {}
        self._until = 0.0

    def body(self) -> bytes:
        """A NodeState as JSON."""
        # The revision first: what is told beside it is of that table or of a newer one.
        revision = self._replicas.revision
        replicas = list(self._replicas.all())
        with self._asking:
            self._ask(replicas)
            states = tuple(self._state_of(replica) for replica in replicas)
        return NodeState(node=self._node, revision=revision, replicas=states).model_dump_json().encode()

    def _ask(self, replicas: list[Replica]) -> None:
        """Ask the shards that were not asked yet and, when it is time, all of them."""
        began = self._clock()
        known = {} if began >= self._until else self._contents
        self._contents = {}
        for replica in replicas:
            if (shard := replica.shard) is None:
                continue
            told = known.get(replica.key)
            # A shard that was closed and opened again is another one.
            if told is None or told[0] is not shard:
                told = shard, _contents_of(shard)
            self._contents[replica.key] = told
        if not known:
            now = self._clock()
            self._until = now + max(_KEEP_S, _KEEP_TIMES * (now - began))

    def _state_of(self, replica: Replica) -> ReplicaState:
        route = replica.route
        told = self._contents.get(replica.key)
        contents = told[1] if told else {"reason": replica.error.message if replica.error else ""}
        return ReplicaState(
            **{
                "collection": route.spec.name,
                "uid": route.uid,
                "shard": replica.number,
                "generation": route.generation,
                "state": replica.state,
                **contents,
            }
        )


def _contents_of(shard: Shard) -> Contents:
    """The fields of ReplicaState that the shard tells."""
    try:
        stats = shard.stats()
    except HanaxError as error:
        # Damaged since, or closed in this moment: it answers nobody.
        return {"state": "failed", "reason": error.message}
    states = [index.state for index in stats.indexes]
    return {
        "reason": stats.read_only_reason,
        "points": stats.points,
        "sequence": stats.last_sequence,
        "segments": stats.segments,
        "growing_rows": stats.growing_rows,
        "disk_bytes": stats.disk_bytes,
        **{f"indexes_{state}": states.count(state) for state in ("built", "building", "waiting", "refused")},
    }
