"""How a collection is searched: its index, its quantisation, and the recall it promises."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hanax.core.distances import Metric
from hanax.core.limits import MAX_HASH_BITS


class Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AutoIndex(Spec):
    """Chosen for each segment by its count, dimension and metric (hanax.engine.index.recommendation)."""

    type: Literal["auto"] = "auto"


class FlatIndex(Spec):
    """Every vector is compared: exact, or nearly so on quantised codes."""

    type: Literal["flat"] = "flat"


class HnswIndex(Spec):
    """A hierarchical navigable small world graph."""

    type: Literal["hnsw"] = "hnsw"
    m: int = Field(16, ge=4, le=64, description="neighbours of a node; twice as many in the bottom layer")
    ef_construction: int = Field(128, ge=8, le=2_000, description="nodes kept in mind while building")
    ef_search: int | None = Field(
        None, ge=1, le=10_000, description="nodes kept in mind while searching; none: measured at sealing"
    )


class IvfIndex(Spec):
    """Lists of vectors around centroids, of which the nearest are read."""

    type: Literal["ivf"] = "ivf"
    lists: int | None = Field(None, ge=1, le=65_536, description="centroids; none: by the segment's count")
    nprobe: int | None = Field(
        None, ge=1, le=65_536, description="lists read by a search; none: measured at sealing"
    )


class LshIndex(Spec):
    """Hash tables: random hyperplanes for cosine and dot, p-stable projections for the other metrics."""

    type: Literal["lsh"] = "lsh"
    num_tables: int = Field(8, ge=1, le=64, description="hash tables")
    hash_size: int = Field(12, ge=1, le=MAX_HASH_BITS, description="hash functions of each table")
    probes: int | None = Field(
        None, ge=1, le=10_000, description="buckets read in each table; none: measured at sealing"
    )


class KdTreeIndex(Spec):
    """A k-d tree with leaf buckets: exact, and fast in few dimensions."""

    type: Literal["kd_tree"] = "kd_tree"
    leaf_size: int = Field(32, ge=1, le=4_096, description="rows in a leaf")


IndexSpec = Annotated[
    AutoIndex | FlatIndex | HnswIndex | IvfIndex | LshIndex | KdTreeIndex, Field(discriminator="type")
]


class NoQuantisation(Spec):
    """The full vectors are compared."""

    type: Literal["none"] = "none"


class ScalarQuantisation(Spec):
    """One byte a dimension; the nearest are compared again in full."""

    type: Literal["int8"] = "int8"


class ProductQuantisation(Spec):
    """One code of 4 or 8 bits for each part of the vector; the nearest are compared again in full.

    With `refine`, int8 codes are kept beside: faster at high recall, for one more byte a dimension.
    """

    type: Literal["product"] = "product"
    bits: Literal[4, 8] = Field(4, description="bits of a code")
    part_dimension: int | None = Field(
        None, ge=1, le=64, description="dimensions in a part, a divisor of the dimension; none: chosen"
    )
    refine: bool = Field(True, description="compare int8 codes between product codes and full vectors")


class BinaryQuantisation(Spec):
    """One bit a dimension; the nearest are compared again in full."""

    type: Literal["binary"] = "binary"


Quantisation = Annotated[
    NoQuantisation | ScalarQuantisation | ProductQuantisation | BinaryQuantisation,
    Field(discriminator="type"),
]

# Which codes an index can be built on; the first is what it takes when nothing is said.
QUANTISATIONS: dict[str, tuple[str, ...]] = {
    "flat": ("none", "int8", "binary"),
    "hnsw": ("int8", "none"),
    "ivf": ("product", "int8", "none"),
    "lsh": ("none",),
    "kd_tree": ("none",),
}


class Indexing(Spec):
    """All that decides how sealed segments are searched. It may change during a collection's life."""

    index: IndexSpec = AutoIndex()
    quantisation: Quantisation | None = Field(None, description="none given: what suits the index")
    target_recall: float | None = Field(
        None,
        gt=0,
        le=1,
        description="share of the true nearest that answers hold, on average; none: 0.95 is aimed at",
    )

    def problem(self, metric: Metric, dimension: int) -> str:
        """Why this can't be built for such vectors; empty when it can."""
        if self.index.type == "kd_tree" and metric is Metric.DOT:
            return "a k-d tree does not serve dot: a larger product is no smaller distance; use ivf or hnsw"
        quantisation = self.quantisation
        if quantisation is None:
            return ""
        if self.index.type != "auto" and quantisation.type not in QUANTISATIONS[self.index.type]:
            able = ", ".join(QUANTISATIONS[self.index.type])
            return f"{self.index.type} takes no {quantisation.type} quantisation; expected one of: {able}"
        if isinstance(quantisation, ProductQuantisation) and quantisation.part_dimension is not None:
            part = quantisation.part_dimension
            if dimension % part:
                sizes = [str(size) for size in range(1, min(64, dimension) + 1) if dimension % size == 0]
                able = ", ".join(sizes)
                return f"{dimension} dimensions do not divide into parts of {part}; of these they do: {able}"
        return ""


class SearchParameters(Spec):
    """What one search asks of the index; what does not belong to the index that answers is passed over."""

    exact: bool = Field(False, description="compare every vector")
    ef_search: int | None = Field(None, ge=1, le=10_000, description="hnsw: nodes kept in mind")
    nprobe: int | None = Field(None, ge=1, le=65_536, description="ivf: lists read")
    probes: int | None = Field(None, ge=1, le=10_000, description="lsh: buckets read in each table")

    @property
    def states_nothing(self) -> bool:
        return not (self.exact or self.ef_search or self.nprobe or self.probes)
