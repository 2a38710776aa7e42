"""Part `qps`: speed at recall 0.95 and 0.99, CPU time of builds, and memory, on every data set."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from benchmarks.index import processes
from benchmarks.index.contestants import all_contestants
from benchmarks.index.curves import Point, qps_at

TARGETS: Final = (0.95, 0.99)
ROUNDS: Final = 5
_BASE: Final = "hnswlib"


def run(names: Sequence[str], chosen: Sequence[str], quick: bool) -> list[dict[str, Any]]:
    """One entry per data set. chosen: contestants, hnswlib among them."""
    found = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="bench-index-") as folder:
            found.append(_run(name, chosen, Path(folder), quick))
            _show(found[-1])
    return found


def _run(data: str, chosen: Sequence[str], root: Path, quick: bool) -> dict[str, Any]:
    folders = {name: str(root / str(number)) for number, name in enumerate(chosen)}
    builds = _build_all(data, folders, quick)
    arguments = {"data": data, "folders": folders, "rounds": 2 if quick else ROUNDS, "quick": quick}
    points = {
        name: [Point(*point) for point in listed]
        for name, listed in processes.call("measure", "search", arguments, one_core=-1).items()
    }
    shutil.rmtree(root)
    entry: dict[str, Any] = {"part": "qps", "data": data, "contestants": {}}
    for name in chosen:
        ratios = {f"build_cpu_vs_{_BASE}": builds[name]["cpu_s"] / builds[_BASE]["cpu_s"]}
        ratios[f"memory_vs_{_BASE}"] = builds[name]["memory_bytes"] / builds[_BASE]["memory_bytes"]
        at = {str(target): qps_at(points[name], target) for target in TARGETS}
        for target in TARGETS:
            ratios[f"qps_vs_{_BASE}_{target}"] = at[str(target)] / qps_at(points[_BASE], target)
        entry["contestants"][name] = {
            "build": builds[name],
            "qps_at": at,
            "ratios": ratios,
            "points": [point._asdict() for point in points[name]],
        }
    entry["winners"] = {str(target): _winners(entry["contestants"], str(target)) for target in TARGETS}
    return entry


def _build_all(data: str, folders: dict[str, str], quick: bool) -> dict[str, Any]:
    """hnswlib and ours alone, for their CPU time is a headline; then the others, two at a time."""

    def build(name: str, core: int) -> Any:
        arguments = {"name": name, "data": data, "folder": folders[name], "quick": quick}
        built = processes.call("measure", "build", arguments, one_core=core)
        print(f"  {data}: {name} built in {built['cpu_s']:.1f} s of CPU time", flush=True)
        return built

    known = all_contestants()
    alone = [name for name in folders if name == _BASE or known[name].ours]
    beside = [name for name in folders if name not in alone]
    builds = {name: build(name, -1) for name in alone}
    with ThreadPoolExecutor(2) as pool:
        halves = [beside[0::2], beside[1::2]]
        for built in pool.map(lambda core: {name: build(name, core) for name in halves[core]}, (0, 1)):
            builds |= built
    return builds


def _winners(contestants: dict[str, Any], target: str) -> dict[str, Any]:
    """The fastest of ours and of the others at a target, and what their QPS are as ratios."""
    known = all_contestants()
    ours = _fastest(contestants, (name for name in contestants if known[name].ours), target)
    peer = _fastest(contestants, (name for name in contestants if not known[name].ours), target)

    def qps(name: str) -> float:
        return float(contestants[name]["qps_at"][target]) if name else math.nan

    return {
        "ours": ours,
        "best_peer": peer,
        "qps_vs_hnswlib": qps(ours) / qps(_BASE),
        "qps_vs_best_peer": qps(ours) / qps(peer),
    }


def _fastest(contestants: dict[str, Any], names: Iterable[str], target: str) -> str:
    """Empty when none reaches the target."""
    reached = {name: contestants[name]["qps_at"][target] for name in names}
    reached = {name: qps for name, qps in reached.items() if not math.isnan(qps)}
    return max(reached, key=lambda name: reached[name], default="")


def headline(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The worst over the data sets, each of the configuration of ours that is the fastest there.

    A target that was not reached is worth 0. Builds and memory count for every winner: at 0.95 and at 0.99.
    """
    if not runs:
        return {}
    found: dict[str, float] = {}
    for key in ("qps_vs_hnswlib", "qps_vs_best_peer"):
        for target in TARGETS:
            short = f"{round(target * 100):03d}"
            ratios = [run["winners"][str(target)][key] for run in runs]
            found[f"{key}_{short}"] = min(0.0 if math.isnan(ratio) else ratio for ratio in ratios)
    winners = [
        run["contestants"][run["winners"][str(target)]["ours"]]["ratios"]
        for run in runs
        for target in TARGETS
        if run["winners"][str(target)]["ours"]
    ]
    for key, ratio in (("build_cpu", "build_cpu_vs_hnswlib"), ("int8_memory", "memory_vs_hnswlib")):
        found[f"{key}_vs_hnswlib"] = max((winner[ratio] for winner in winners), default=math.nan)
    return found


def _show(entry: dict[str, Any]) -> None:
    print(f"\n{entry['data']}: QPS at 0.95 and 0.99 (x hnswlib), build CPU and memory (x hnswlib)")
    for name, found in entry["contestants"].items():
        ratios = found["ratios"]
        cells = [
            f"{found['qps_at'][str(target)]:9,.0f} {ratios[f'qps_vs_{_BASE}_{target}']:5.2f}x"
            for target in TARGETS
        ]
        cells.append(f"{ratios[f'build_cpu_vs_{_BASE}']:6.2f}x {ratios[f'memory_vs_{_BASE}']:6.2f}x")
        print(f"  {name:32s} {'   '.join(cells)}", flush=True)
