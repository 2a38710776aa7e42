"""How each segment is searched under a filter, and why.

none: nothing can match, or nothing does; no work. whole: everything matches, so the filter is forgotten.
scan: few rows match, and just those vectors are compared, exactly. masked: the segment's index walks or
scans, and answers with matching rows alone; without an index all matching rows are compared, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hanax.core.filters import Filter
from hanax.engine.filters.bitmaps import Estimate
from hanax.engine.index.protocol import Mask
from hanax.engine.query.matching import Matching, unknown_fields
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import SegmentView

# Vectors of so many bytes are few for one query. Where there is an index, it is asked sooner: it compares
# allowed rows by their codes, which are a quarter of the bytes.
SCANNED_BYTES: Final = 2 * 1024 * 1024
SCANNED_BESIDE_INDEX_BYTES: Final = SCANNED_BYTES // 4


class Plan(StrEnum):
    NONE = "none"
    SCAN = "scan"
    MASKED = "masked"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was done in one segment. segment: its name, "growing" for that which takes writes.

    estimate: how many live rows match, from sizes in the indexes alone, before anything was evaluated.
    matched: how many do. unknown_fields: fields of the filter that no live row has.
    """

    segment: str
    rows: int
    live_rows: int
    plan: Plan
    estimate: Estimate
    matched: int
    reason: str
    unknown_fields: tuple[str, ...]


# Not frozen: making one takes a third of the time.
@dataclass(slots=True)
class Planned:
    """mask: rows that may be answered; None where all rows may, or none."""

    plan: Plan
    mask: Mask | None
    matched: int
    estimate: Estimate | None


def plan_segment(part: SegmentView, expression: Filter | None, scanned_rows: int) -> Planned:
    """scanned_rows: so many rows are few."""
    if expression is None:
        mask, count = part.live_mask, part.live_count
        return Planned(Plan.WHOLE if mask is None else Plan.MASKED, mask, count, None)
    if part.live_count == 0:
        return Planned(Plan.NONE, None, 0, Estimate(0, 0.0, 0))
    matching = Matching(part, expression)
    estimate = matching.estimate
    if estimate.most == 0:
        return Planned(Plan.NONE, None, 0, estimate)
    mask = part.live_mask if estimate.least == part.live_count else matching.mask()
    if mask is None or mask.count == part.rows:
        return Planned(Plan.WHOLE, None, part.rows, estimate)
    if mask.count == 0:
        return Planned(Plan.NONE, None, 0, estimate)
    return Planned(Plan.SCAN if mask.count <= scanned_rows else Plan.MASKED, mask, mask.count, estimate)


def explain(part: SegmentView, expression: Filter | None, planned: Planned, indexed: bool) -> Explanation:
    """indexed: whether the segment's vectors have an index that may be asked."""
    live = part.live_count
    estimate = planned.estimate or Estimate(live, float(live), live)
    segment = part.segment
    return Explanation(
        segment.name if isinstance(segment, SealedSegment) else "growing",
        part.rows,
        live,
        planned.plan,
        estimate,
        planned.matched,
        _reason(planned, estimate, expression is not None, indexed),
        () if expression is None else tuple(sorted(unknown_fields(part, expression))),
    )


def _reason(planned: Planned, estimate: Estimate, filtered: bool, indexed: bool) -> str:
    match planned.plan:
        case Plan.NONE if estimate.most == 0:
            return "nothing can match: no row has such values"
        case Plan.NONE:
            return "nothing matches"
        case Plan.WHOLE:
            return "every row matches" if filtered else "there is no filter"
        case Plan.SCAN:
            return f"{planned.matched} rows match: few enough to compare each of them, exactly"
        case Plan.MASKED if indexed:
            return f"{planned.matched} rows match: the index is searched for these alone"
        case Plan.MASKED:
            return f"{planned.matched} rows match: there is no index, so each of them is compared, exactly"
