"""The file that a benchmark leaves behind (DESIGN 6)."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson
import psutil


def hardware() -> dict[str, Any]:
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "load_at_start": os.getloadavg()[0],
    }


def versions(*packages: str) -> dict[str, str]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in packages},
    }


def _path(name: str) -> Path:
    return Path(os.environ.get("RESULTS", "benchmarks/results")) / f"{name}.json"


def load(name: str) -> dict[str, Any]:
    """What `save` left, without command and headline."""
    document: dict[str, Any] = orjson.loads(_path(name).read_bytes())
    return {key: value for key, value in document.items() if key not in ("command", "headline")}


def save(name: str, headline: dict[str, float], runs: list[dict[str, Any]], **about: Any) -> Path:
    """Write RESULTS/<name>.json and print the headline."""
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {**about, "command": " ".join(["python", "-m", *_module_and_arguments()])}
    document |= {"headline": headline, "runs": runs}
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    print(f"\n{path}")
    for key, value in headline.items():
        print(f"  {key:24s} {value:,.3f}")
    return path


def _module_and_arguments() -> list[str]:
    spec = sys.modules["__main__"].__spec__
    return [spec.name if spec else sys.argv[0], *sys.argv[1:]]
