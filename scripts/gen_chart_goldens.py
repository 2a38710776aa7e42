"""The one writer of tests/contract/chart/goldens/*.yaml: what the chart renders to for each values file.

python -m scripts.gen_chart_goldens            write them
python -m scripts.gen_chart_goldens --check    exit 1 and name what is stale, write nothing
"""

from __future__ import annotations

from scripts.generated import command, write_or_check
from tests.contract.chart.rendering import CASES, case_names, golden_text


def main() -> None:
    check = command("Generate the goldens of the chart's tests.").parse_args().check
    goldens = {CASES / f"{case}.yaml": golden_text(case) for case in case_names()}
    there = {path for path in CASES.glob("*.yaml") if not path.name.endswith(".values.yaml")}
    write_or_check(goldens, check, there)


if __name__ == "__main__":
    main()
