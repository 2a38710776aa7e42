"""The one writer of the GraphQL schema in its own language.

    python scripts/gen_graphql.py            write it
    python scripts/gen_graphql.py --check    exit 1 where it is stale, write nothing

It comes from hanax.gateway.graphql, and so from the request models of all doors.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from hanax.gateway.graphql.schema import text

ROOT = Path(__file__).resolve().parent.parent
FILE: Final = ROOT / "docs" / "reference" / "schema.graphql"

_HEAD: Final = "# The gateway's GraphQL schema, written by `make gen`; see docs/graphql.md.\n\n"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where it is stale")
    stale = not FILE.exists() or FILE.read_text() != _HEAD + text()
    if not parser.parse_args().check:
        FILE.write_text(_HEAD + text())
    elif stale:
        print(f"stale: {FILE.relative_to(ROOT)}; run `make gen`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
