"""Recall against QPS: one panel for each data set, ours strong, the others thin, each named at its line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.index.curves import Point, front
from benchmarks.index.datasets import title_of

_LEAST_RECALL: Final = 0.85
_COLOURS: Final = {
    "hanax ivf product": "#0b5fff",
    "hanax hnsw int8": "#00a36c",
    "hanax hnsw none": "#6a3fd0",
    "hnswlib": "#d1495b",
    "faiss": "#8a8a8a",
    "usearch": "#c79a3a",
    "scann": "#5b7c8d",
}
# Between labels at the right edge, in points.
_LABEL_GAP: Final = 10.0


def draw(runs: Sequence[dict[str, Any]], path: Path) -> None:
    """runs: entries of part `qps`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    columns = min(2, len(runs))
    rows = -(-len(runs) // columns)
    figure, grid = pyplot.subplots(rows, columns, figsize=(7.5 * columns, 4.6 * rows), squeeze=False)
    panels = list(grid.flat)
    for panel, run in zip(panels, runs, strict=False):
        _panel(panel, run)
    for panel in panels[len(runs) :]:
        panel.set_visible(False)
    figure.suptitle(
        "Queries per second against recall@10, one thread, batches; up and to the right is better"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _panel(panel: Any, run: dict[str, Any]) -> None:
    labels = []
    for name, points in _lines(run["contestants"]).items():
        # 0.9, 0.99 and 0.999 as far apart as their misses are.
        across = [_spread(point.recall) for point in points]
        ours = name.startswith("hanax")
        colour = _colour(name)
        panel.plot(
            across,
            [point.qps for point in points],
            color=colour,
            linewidth=2.6 if ours else 1.0,
            marker="o" if ours else ".",
            markersize=4 if ours else 3,
            zorder=3 if ours else 2,
        )
        labels.append((points[-1].qps, across[-1], name, colour, ours))
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(lambda qps, _: f"{qps:,.0f}")
    panel.yaxis.set_minor_formatter(lambda qps, _: f"{qps:,.0f}" if f"{qps:.0f}"[0] in "25" else "")
    ticks = (0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
    panel.set_xticks([_spread(tick) for tick in ticks], [f"{tick:g}" for tick in ticks])
    panel.set_xlim(_spread(_LEAST_RECALL), _spread(0.9995))
    panel.grid(True, which="major", color="#e3e3e3", linewidth=0.7)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    panel.set_title(f"{run['data']}: {title_of(run['data'])}", loc="left", fontsize=11)
    panel.set_xlabel("recall@10")
    panel.set_ylabel("queries per second")
    _label(panel, labels)


def _lines(contestants: dict[str, Any]) -> dict[str, list[Point]]:
    """What lies in the picture. Configurations of one index of another library are one line: their best."""
    points: dict[str, list[Point]] = {}
    for name, found in contestants.items():
        line = name
        if name.startswith("faiss IVF") and "PQ" in name:
            line = "faiss IVF,PQ"
        elif name.startswith("scann"):
            line = "scann"
        points.setdefault(line, []).extend(Point(**point) for point in found["points"])
    fronts = {
        line: front([point for point in listed if point.recall >= _LEAST_RECALL])
        for line, listed in points.items()
        if line != "hanax flat"
    }
    return {line: listed for line, listed in fronts.items() if listed}


def _label(panel: Any, labels: list[tuple[float, float, str, str, bool]]) -> None:
    """Names right of the panel, at the height of each line's end, moved apart where they would meet."""
    panel.figure.canvas.draw()
    edge = panel.get_xlim()[1]
    scale = 72 / panel.figure.dpi
    lowest = -float("inf")
    for qps, across, name, colour, ours in sorted(labels):
        height = panel.transData.transform((edge, qps))[1] * scale
        placed = max(height, lowest + _LABEL_GAP)
        lowest = placed
        panel.annotate(
            name,
            (across, qps),
            xytext=(1.02, panel.transAxes.inverted().transform((0, placed / scale))[1]),
            textcoords="axes fraction",
            fontsize=8,
            fontweight="bold" if ours else "normal",
            color=colour,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.4,
                "alpha": 0.5,
                "relpos": (0, 0.5),
            },
        )


def _spread(recall: float) -> float:
    """Minus the logarithm of what is missed."""
    return -math.log10(max(1 - recall, 5e-4))


def _colour(name: str) -> str:
    """A contestant's own, or its library's."""
    if name in _COLOURS:
        return _COLOURS[name]
    library = name.split(maxsplit=1)[0]
    return _COLOURS.get(library, "#4f7cff" if library == "hanax" else "#8a8a8a")
