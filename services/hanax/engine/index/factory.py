"""From what a collection asks for to an index, and back from its arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hanax.core.errors import InvalidArgument
from hanax.core.index_specs import (
    QUANTISATIONS,
    BinaryQuantisation,
    Indexing,
    IndexSpec,
    NoQuantisation,
    ProductQuantisation,
    Quantisation,
    ScalarQuantisation,
)
from hanax.engine.index.flat import Flat
from hanax.engine.index.hnsw import Hnsw
from hanax.engine.index.ivf import Ivf
from hanax.engine.index.kd_tree import KdTree
from hanax.engine.index.lsh import Lsh
from hanax.engine.index.protocol import Arrays, Index, Source, Work
from hanax.engine.index.recommendation import recommend

_INDEXES: dict[str, Any] = {"flat": Flat, "hnsw": Hnsw, "ivf": Ivf, "kd_tree": KdTree, "lsh": Lsh}
_QUANTISATIONS: dict[str, type[Quantisation]] = {
    "none": NoQuantisation,
    "int8": ScalarQuantisation,
    "product": ProductQuantisation,
    "binary": BinaryQuantisation,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be built for a segment, nothing left to choose. reason: empty unless it was chosen here."""

    index: IndexSpec
    quantisation: Quantisation
    reason: str


def plan(indexing: Indexing, source: Source) -> Plan:
    """Raises InvalidArgument for what can't be built for these vectors."""
    count, dimension = source.vectors.shape
    if problem := indexing.problem(source.metric, dimension):
        raise InvalidArgument(problem)
    index, reason = indexing.index, ""
    if index.type == "auto":
        chosen = recommend(count, dimension, source.metric)
        index, reason = chosen.index, chosen.reason
    able = QUANTISATIONS[index.type]
    quantisation = indexing.quantisation
    if quantisation is None or quantisation.type not in able:
        quantisation = _QUANTISATIONS[able[0]]()
    return Plan(index, quantisation, reason)


def build(plan: Plan, source: Source, work: Work) -> Index:
    """Raises Cancelled soon after `work.stopped` is set."""
    index: Index = _INDEXES[plan.index.type].build(source, plan.index, plan.quantisation, work)
    return index


def load(type_: str, arrays: Arrays, parameters: dict[str, Any], source: Source) -> Index:
    """Open what `build` made: its arrays, mapped, and its parameters."""
    index: Index = _INDEXES[type_].load(arrays, parameters, source)
    return index
