"""The one writer of tests/contract/chart/goldens/*.yaml: what the chart renders to for each values file.

python scripts/gen_chart_goldens.py            write them
python scripts/gen_chart_goldens.py --check    exit 1 and name what is stale, write nothing
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.contract.chart.rendering import CASES, case_names, golden_text  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate the goldens of the chart's tests.")
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    check = parser.parse_args().check
    wanted = {CASES / f"{case}.yaml": golden_text(case) for case in case_names()}
    there = {path for path in CASES.glob("*.yaml") if not path.name.endswith(".values.yaml")}
    stale = sorted(path for path in wanted if path not in there or path.read_text() != wanted[path])
    stale += sorted(there - wanted.keys())
    if check:
        if stale:
            names = "\n".join(f"  {path.relative_to(ROOT)}" for path in stale)
            sys.exit(f"generated files are stale; run `make gen`:\n{names}")
        return
    for path in stale:
        if path in wanted:
            path.write_text(wanted[path])
            print(f"wrote {path.relative_to(ROOT)}")
        else:
            path.unlink()
            print(f"removed {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
