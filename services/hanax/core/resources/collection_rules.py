"""What a VectorCollection's spec may not be: as CEL rules for the API server, and as one check here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hanax.core.index_specs import QUANTISATIONS, Indexing
from hanax.core.resources.manifests import Rule, fixed_option

if TYPE_CHECKING:
    from hanax.core.resources.collections import VectorCollectionSpec

# Reasons why a field is fixed.
VECTORS_ARE_STORED: Final = "vectors are stored by it; create another collection"
SLOTS_ARE_DIVIDED: Final = "points are divided by it; create another collection"
DATA_LIES_THERE: Final = "the data lies there; create another collection"
_POINTS_GO_BY_IT: Final = "points were written by it; create another collection"

NAMED_VECTORS: Final = Rule(
    "size(self) == 0",
    "vectors: named vectors are not served yet; expected none, and dimensions and metric in their place",
)
ONE_REPLICA: Final = Rule(
    "self <= 1", "replicas: more than one needs replicated writes, which are not served yet; expected 1"
)
FIELD_PATHS: Final = Rule(
    r"self.all(path, size(path) <= 512 && path.matches('^[^.]+([.][^.]+)*$'))",
    "payloadIndexes: expected names joined by dots, 512 letters at most, such as author.born",
)

# What a collection on the pool can't have of its own.
DEDICATED_FIELDS: Final = (
    "storage",
    "resources",
    "nodeSelector",
    "tolerations",
    "affinity",
    "topologySpread",
    "gpu",
)


def _dedicated(field: str) -> Rule:
    return Rule(
        f"self.placement != 'shared' || !has(self.{field})",
        f"{field}: the shard pool's are used with placement shared; expected none, or placement dedicated",
        f".{field}",
    )


def _quantised(index: str, able: tuple[str, ...]) -> Rule:
    return Rule(
        f"self.index.type != '{index}' || !has(self.quantisation) || self.quantisation.type in {list(able)}",
        f"quantisation.type: index {index} takes {', '.join(able)}",
        ".quantisation.type",
    )


OF_THE_SPEC: Final = (
    fixed_option("embeddingModel", _POINTS_GO_BY_IT),
    fixed_option("ttlSeconds", _POINTS_GO_BY_IT),
    Rule(
        "(has(self.storage) && has(self.storage.storageClassName) ? self.storage.storageClassName : '')"
        " == (has(oldSelf.storage) && has(oldSelf.storage.storageClassName)"
        " ? oldSelf.storage.storageClassName : '')",
        f"storage.storageClassName: can't be added, changed or removed: {DATA_LIES_THERE}",
        ".storage.storageClassName",
    ),
    Rule(
        "!has(oldSelf.storage) || !has(oldSelf.storage.size) || (has(self.storage) && has(self.storage.size)"
        " && quantity(self.storage.size).compareTo(quantity(oldSelf.storage.size)) >= 0)",
        "storage.size: can only grow: volumes do not shrink",
        ".storage.size",
    ),
    *map(_dedicated, DEDICATED_FIELDS),
    *(_quantised(index, able) for index, able in QUANTISATIONS.items()),
    Rule(
        "self.index.type != 'kd_tree' || self.metric != 'dot'",
        "index.type: a k-d tree does not serve metric dot; expected ivf, hnsw, lsh, flat or auto",
        ".index.type",
    ),
    Rule(
        "!has(self.quantisation) || !has(self.quantisation.partDimension)"
        " || self.dimensions % self.quantisation.partDimension == 0",
        "quantisation.partDimension: expected a divisor of dimensions",
        ".quantisation.partDimension",
    ),
)


def problem(spec: VectorCollectionSpec) -> str:
    """Why there can't be such a collection, beginning with the field; empty when there can."""
    if spec.vectors:
        return NAMED_VECTORS.message
    if spec.replicas > 1:
        return ONE_REPLICA.message
    if spec.placement == "shared":
        for name, field in type(spec).model_fields.items():
            if field.alias in DEDICATED_FIELDS and getattr(spec, name):
                return _dedicated(field.alias).message
    if found := Indexing(index=spec.index).problem(spec.metric, spec.dimensions):
        return f"index.type: {found}"
    indexing = Indexing(index=spec.index, quantisation=spec.quantisation)
    found = indexing.problem(spec.metric, spec.dimensions)
    return f"quantisation: {found}" if found else ""
