"""The one writer of the OpenAPI document.

    python -m scripts.gen_openapi              write docs/reference/openapi.json
    python -m scripts.gen_openapi --check      exit 1 where it is stale, or breaks clients of the released one
    python -m scripts.gen_openapi --release    take the document as it is for the released one

It comes from the routes of hanax.gateway.rest. A change that breaks clients needs a version that may.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

from hanax.core.settings import GatewaySettings
from hanax.gateway.rest.app import build_app
from hanax.gateway.services import Services
from hanax.runtime.catalog_folder import CatalogFolder
from scripts.generated import ROOT, command, write_or_check
from scripts.openapi_changes import allows_breaking, breaking_changes

DOCUMENT: Final = ROOT / "docs" / "reference" / "openapi.json"
RELEASED: Final = ROOT / "docs" / "reference" / "openapi.released.json"


def openapi_document() -> dict[str, Any]:
    """What a gateway with the default settings serves at /openapi.json."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    for name in [name for name in os.environ if name.startswith("HANAX_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        services = Services(GatewaySettings(), CatalogFolder(Path(folder)), time.monotonic, lambda: 0)
        return build_app(services, lifespan).openapi()


def write_text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def breaks(document: dict[str, Any]) -> list[str]:
    """Changes since the released document that its version does not allow."""
    if not RELEASED.is_file():
        return []
    released = json.loads(RELEASED.read_text())
    if allows_breaking(released["info"]["version"], document["info"]["version"]):
        return []
    return breaking_changes(released, document)


def main() -> None:
    parser = command("Generate the OpenAPI document.")
    parser.add_argument("--release", action="store_true", help="take it for the released one")
    arguments = parser.parse_args()
    document = openapi_document()
    text = write_text(document)
    write_or_check({DOCUMENT: text}, arguments.check)
    if arguments.check:
        if broken := breaks(document):
            told = "\n".join(f"  {change}" for change in broken)
            sys.exit(
                f"{DOCUMENT.relative_to(ROOT)} breaks clients of the released version, and its own version"
                f" does not say so:\n{told}"
            )
    elif arguments.release:
        write_or_check({RELEASED: text}, check=False)


if __name__ == "__main__":
    main()
