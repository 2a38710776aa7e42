"""A declared collection, as whoever plans the routing table sees it: a file's, or a custom resource's."""

from __future__ import annotations

from pydantic import Field, model_validator

from hanax.core.index_specs import Spec
from hanax.core.routing import CollectionUid
from hanax.core.specs import CollectionSpec


class CatalogEntry(Spec):
    """`uid` is fresh for every creation, `generation` counts the specs.

    nodes: for each shard the nodes that it has to be on, where they are the collection's own or known from
    before; None: each shard goes to a node of the pool, and stays there. suspended: its shards are closed,
    its data and places kept.
    """

    uid: CollectionUid
    generation: int = Field(1, ge=1)
    created_at_us: int
    spec: CollectionSpec
    nodes: tuple[tuple[str, ...], ...] | None = None
    suspended: bool = False

    @model_validator(mode="after")
    def _every_shard_has_nodes(self) -> CatalogEntry:
        if self.nodes is not None and len(self.nodes) != self.spec.shards:
            raise ValueError(f"nodes are told of {len(self.nodes)} shards, expected {self.spec.shards}")
        return self
