"""What an index-shard tells of itself at GET /state, and who watches it decides by.

Fields are only ever added: nodes and their watchers are of different versions while either is upgraded.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hanax.core.errors import DataLoss


class _State(BaseModel):
    # What a newer node tells besides is passed over.
    model_config = ConfigDict(extra="ignore", frozen=True)


class ReplicaState(_State):
    """One assigned shard replica.

    generation: of the spec that it goes by. reason: why it is not open, or refuses writes; empty otherwise.
    sequence: of its last write. indexes_*: sealed segments by the state of their vector index. disk_bytes: of
    segments and log. All numbers are 0 where it is not open.
    """

    collection: str
    uid: str
    shard: int = Field(ge=0)
    generation: int = Field(ge=1)
    state: Literal["open", "opening", "failed"]
    reason: str = ""
    points: int = 0
    sequence: int = 0
    segments: int = 0
    growing_rows: int = 0
    indexes_built: int = 0
    indexes_building: int = 0
    indexes_waiting: int = 0
    indexes_refused: int = 0
    disk_bytes: int = 0


class NodeState(_State):
    """A node by its name in the routing table. revision: of the table it follows; None: it has none yet."""

    node: str
    revision: int | None = None
    replicas: tuple[ReplicaState, ...] = ()

    @classmethod
    def parse(cls, body: bytes) -> NodeState:
        """Read an answer of /state. Raises DataLoss for what is none."""
        try:
            return cls.model_validate_json(body)
        except ValueError as error:
            raise DataLoss(f"the answer is no node state: {error}") from None
