"""An index of one vector column of a sealed segment, in files of its own (docs/formats/shard.md).

It is derived data: when its files are missing or damaged it is dropped and built anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from hanax.core.errors import DataLoss
from hanax.core.index_specs import IndexSpec, Quantisation, SearchParameters
from hanax.engine.index import factory
from hanax.engine.index.cores import CORES
from hanax.engine.index.factory import Plan
from hanax.engine.index.protocol import Effort, Index, Mask, Nearest, Source
from hanax.engine.index.tuning import FixedEffort, Tuned, TunedEffort, fixed_effort
from hanax.engine.storage.files import checked_size, map_array, read_document

FORMAT = 1
DOCUMENT = "index.json"
# Queries that are worth another thread.
_SHARE_QUERIES = 32

_SPEC: TypeAdapter[IndexSpec] = TypeAdapter(IndexSpec)
_QUANTISATION: TypeAdapter[Quantisation] = TypeAdapter(Quantisation)


@dataclass(frozen=True, slots=True)
class SegmentIndex:
    """name: of its folder. target: the recall that it was tuned for. bytes: of its files."""

    name: str
    column: str
    plan: Plan
    index: Index
    target: float
    tuned: Tuned
    bytes: int

    def search(
        self, queries: NDArray[np.float32], k: int, mask: Mask | None, parameters: SearchParameters
    ) -> Nearest:
        """As the index's own search, at the tuned effort or the one that the parameters state."""
        stated = fixed_effort(parameters, self.plan.index.type)
        effort: Effort = self.tuned.effort if stated is None else FixedEffort(stated)
        shares = min(CORES.count, len(queries) // _SHARE_QUERIES)
        if shares <= 1:
            return CORES.run_one(partial(self.index.search, queries, k, mask, effort))
        parts = CORES.run(
            [partial(self.index.search, part, k, mask, effort) for part in np.array_split(queries, shares)]
        )
        return Nearest(
            np.concatenate([part.distances for part in parts]), np.concatenate([part.rows for part in parts])
        )


def describe(column: str, plan: Plan, target: float, tuned: Tuned) -> dict[str, Any]:
    """What the document says beside the files and the index's own parameters."""
    return {
        "format": FORMAT,
        "column": column,
        "index": plan.index.model_dump(mode="json"),
        "quantisation": plan.quantisation.model_dump(mode="json"),
        "reason": plan.reason,
        "target_recall": target,
        "effort": {"points": [list(point) for point in tuned.effort.points], "most": tuned.effort.most},
        "recall": None if math.isnan(tuned.recall) else tuned.recall,
    }


def open_index(folder: Path, sources: Mapping[str, Source]) -> SegmentIndex:
    """Map the files of `folder`. sources: the segment's columns.

    Raises DataLoss when one is missing or differs from its checksum, and others for a document that
    is whole but that this version can't make sense of.
    """
    body = read_document(folder / DOCUMENT, FORMAT)
    source = sources[body["column"]]
    if body["rows"] != len(source.vectors):
        raise DataLoss(f"{folder} is an index of another segment", path=str(folder))
    arrays = {}
    for name, file in body["arrays"].items():
        checked_size(folder / name, file["bytes"], file["checksum"])
        arrays[name] = map_array(folder / name, file["dtype"], tuple(file["shape"]))
    plan = Plan(
        _SPEC.validate_python(body["index"]),
        _QUANTISATION.validate_python(body["quantisation"]),
        body["reason"],
    )
    points = tuple((int(k), int(effort)) for k, effort in body["effort"]["points"])
    recall = math.nan if body["recall"] is None else float(body["recall"])
    return SegmentIndex(
        name=folder.name,
        column=body["column"],
        plan=plan,
        index=factory.load(plan.index.type, arrays, body["parameters"], source),
        target=body["target_recall"],
        tuned=Tuned(TunedEffort(points, body["effort"]["most"]), recall),
        bytes=sum(file["bytes"] for file in body["arrays"].values()),
    )
