"""The one writer of the GraphQL schema in its own language.

    python -m scripts.gen_graphql            write it
    python -m scripts.gen_graphql --check    exit 1 where it is stale, write nothing

It comes from hanax.gateway.graphql, and so from the request models of all doors.
"""

from __future__ import annotations

from typing import Final

from hanax.gateway.graphql.schema import text
from scripts.generated import ROOT, command, write_or_check

FILE: Final = ROOT / "docs" / "reference" / "schema.graphql"

_HEAD: Final = "# The gateway's GraphQL schema, written by `make gen`; see docs/graphql.md.\n\n"


def main() -> None:
    check = command("Generate GraphQL's schema in its own language.").parse_args().check
    write_or_check({FILE: _HEAD + text()}, check)


if __name__ == "__main__":
    main()
