"""What a shard is asked: few ids and round numbers, so that writes meet and distances tie."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import orjson
from hypothesis import strategies as st
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.filters import And, Condition, Filter, Not, Operator, Or
from hanax.core.ids import encode_id
from hanax.core.index_specs import Indexing, KdTreeIndex
from hanax.core.specs import PayloadIndex
from hanax.engine.shard import MetadataChange, ShardOptions

DIMENSION = 3

Vector = NDArray[np.float32]
Metadata = dict[str, Any]


class Item(NamedTuple):
    """life_us: how long the point is there, 0: until it is deleted."""

    id: bytes
    vector: Vector
    metadata: Metadata
    life_us: int


metrics = st.sampled_from(Metric)

# Tiny segments: sealing and merging go on all the time.
options = st.builds(
    ShardOptions,
    segment_max_rows=st.sampled_from([4, 7, 16, 1_000]),
    segment_max_bytes=st.sampled_from([300, 10_000]),
    log_max_bytes=st.sampled_from([400, 100_000]),
)

# Exact ones, so that answers can be told; of those with files, what suits every metric but dot.
indexings = st.sampled_from([Indexing(), Indexing(index=KdTreeIndex(leaf_size=2))])

pins: st.SearchStrategy[dict[str, PayloadIndex]] = st.dictionaries(
    st.sampled_from(["n", "tag", "list", "text"]),
    st.sampled_from([PayloadIndex.TEXT, PayloadIndex.TEXT, *PayloadIndex]),
)

ids = st.sampled_from(
    [
        encode_id(value)
        for value in [*range(24), *"abcdefgh", "x" * 128, "01234567-89ab-cdef-0123-456789abcdef", 2**64 - 1]
    ]
)

_components = (
    st.integers(-2, 2).map(float) | st.floats(0.125, 100, width=32) | st.floats(-100, -0.125, width=32)
)
# Not zero: it has no direction, and cosine refuses it.
vectors: st.SearchStrategy[Vector] = st.lists(_components, min_size=DIMENSION, max_size=DIMENSION).map(
    lambda row: np.array(row if any(row) else [1.0] * DIMENSION, np.float32)
)

metadata: st.SearchStrategy[Metadata] = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 3),
        "tag": st.sampled_from(["a", "b"]),
        "list": st.lists(st.integers(0, 2), max_size=2),
        "text": st.text(st.characters(codec="utf-8"), max_size=30),
    },
)

# As of items, expires_at_us is a life yet.
changes: st.SearchStrategy[MetadataChange] = st.builds(
    MetadataChange,
    metadata.map(orjson.dumps),
    st.booleans(),
    st.lists(st.sampled_from([("n",), ("tag",), ("list", "x"), ("text",)]), max_size=2).map(tuple),
    st.sampled_from([None, None, None, 0, 5, 20]),
)

_mortals = st.builds(Item, ids, vectors, metadata, st.sampled_from([0, 1, 5, 20]))
_immortals = st.builds(Item, ids, vectors, metadata, st.just(0))
batches = st.sampled_from([_mortals, _immortals]).flatmap(
    lambda items: st.lists(items, min_size=1, max_size=8, unique_by=lambda item: item.id)
)
id_lists = st.lists(ids, min_size=1, max_size=8, unique=True)

_conditions: st.SearchStrategy[Filter] = st.one_of(
    st.builds(
        Condition,
        st.just(("n",)),
        st.sampled_from([Operator.EQ, Operator.NE, Operator.GTE, Operator.LT]),
        st.integers(0, 3),
    ),
    st.builds(Condition, st.just(("tag",)), st.just(Operator.EQ), st.sampled_from(["a", "b"])),
    st.builds(Condition, st.just(("list",)), st.just(Operator.CONTAINS), st.integers(0, 2)),
    st.builds(Condition, st.sampled_from([("n",), ("tag",)]), st.just(Operator.EXISTS), st.booleans()),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    _conditions,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.tuples(inner, inner))
        | st.builds(Or, st.tuples(inner, inner))
    ),
    max_leaves=3,
)

limits = st.sampled_from([1, 2, 3, 7, 20, 1_000])
