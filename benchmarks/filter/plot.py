"""p50 against the share that matches: a panel for each kind of filter; ours strong, lines named directly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.filter.cases import KINDS, SHARES
from benchmarks.filter.contestants import CONTESTANTS, OURS
from benchmarks.filter.headline import p50_at

_COLOURS: Final = {OURS: "#0b5fff", "qdrant-edge": "#d1495b", "chroma": "#c79a3a", "pgvector": "#5b7c8d"}
_TITLES: Final = {
    "keyword": "keyword, independent of vectors",
    "range": "integer range, independent of vectors",
    "own region": "only the query's own region",
    "other regions": "all but the query's region",
}
# Between labels at the right edge, in points.
_LABEL_GAP: Final = 11.0


def draw(runs: Sequence[dict[str, Any]], path: Path) -> None:
    """runs: entries of part `search`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(2, 2, figsize=(12.5, 8.4), sharey=True)
    for panel, kind in zip(grid.flat, KINDS, strict=True):
        _panel(panel, [run for run in runs if run["kind"] == kind and not run["few"]])
        panel.set_title(_TITLES[kind], loc="left", fontsize=11)
    figure.suptitle(
        "Filtered search, one query a call: p50 at equal recall@10, at least 0.95; down is better"
    )
    figure.tight_layout()
    for panel, kind in zip(grid.flat, KINDS, strict=True):
        _label(panel, [run for run in runs if run["kind"] == kind and not run["few"]])
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _panel(panel: Any, runs: Sequence[dict[str, Any]]) -> None:
    for name, line in _lines(runs).items():
        ours = name == OURS
        panel.plot(
            range(len(SHARES)),
            line,
            color=_COLOURS[name],
            linewidth=2.8 if ours else 1.0,
            marker="o" if ours else ".",
            markersize=5 if ours else 4,
            zorder=3 if ours else 2,
        )
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(lambda milliseconds, _: f"{milliseconds:g}")
    panel.set_xticks(range(len(SHARES)), [f"{100 * share:g} %" for share in SHARES])
    panel.set_xlabel("of the points match")
    panel.set_ylabel("p50, ms")
    panel.grid(True, which="major", color="#e3e3e3", linewidth=0.7)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _lines(runs: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """Milliseconds by contestant and share; NaN where the recall is not reached or answers are short."""
    own = {run["share"]: run["efforts"][0]["recall"] for run in runs if run["contestant"] == OURS}
    found = {}
    for name in (contestant.name for contestant in CONTESTANTS.values()):
        by_share = {run["share"]: run["efforts"] for run in runs if run["contestant"] == name}
        if by_share:
            found[name] = [p50_at(by_share[share], own.get(share, 0.0)) / 1e3 for share in SHARES]
    return found


def _label(panel: Any, runs: Sequence[dict[str, Any]]) -> None:
    """Names right of the last point of each line, moved apart where they would meet."""
    scale = 72 / panel.figure.dpi
    ends = []
    for name, line in _lines(runs).items():
        reached = [(across, height) for across, height in enumerate(line) if not math.isnan(height)]
        if reached:
            ends.append((reached[-1][1], reached[-1][0], name))
    lowest = -math.inf
    for height, across, name in sorted(ends):
        wanted = panel.transData.transform((across, height))[1] * scale
        placed = max(wanted, lowest + _LABEL_GAP)
        lowest = placed
        panel.annotate(
            name,
            (across, height),
            xytext=(8, placed - wanted),
            textcoords="offset points",
            color=_COLOURS[name],
            fontsize=9,
            fontweight="bold" if name == OURS else "normal",
            va="center",
            annotation_clip=False,
        )
    panel.set_xlim(-0.15, len(SHARES) - 1 + 0.75)
