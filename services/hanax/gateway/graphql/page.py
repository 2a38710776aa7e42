"""/graphiql: the GraphiQL page. Its scripts and styles come in a package, and from this host alone.

The package is made for Django, which is not needed for its files. They are GraphiQL 2.4.7 and React 17.0.2 as
published, with a line end more; the page names their hashes, so that no others are run.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from hanax.core.errors import NotFound

PAGE_PATH: Final = "/graphiql"
_ASSETS_PATH: Final = "/graphiql/static"
_PACKAGE: Final = "graphene_django_graphiql_static"

# sha-256 in base64, as browsers check them.
ASSETS: Final = {
    "react.production.min.js": "Ipu/TQ50iCCVZBUsZyNJfxrDk0E2yhaEIz0vqI+kFG8=",
    "react-dom.production.min.js": "nbMykgB6tsOFJ7OdVmPpdqMFVk4ZsqWocT6issAPUF0=",
    "graphiql.min.js": "xWTeBbldGE4sW6XOryY1gh9r+S8tV3e3TZEAT/a1kdE=",
    "graphiql.min.css": "xs1Lg/AcXh/0l113vJVxhNzm3sAVX7+cxNkZDrqKe50=",
}

# Inline styles are the editor's own; nothing comes from another host, and nothing goes there.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>HANA-X Vector: GraphQL</title>
<link rel="icon" href="data:,">
<style>html, body, #graphiql {{ height: 100%; margin: 0; overflow: hidden; }}</style>
<link rel="stylesheet" href="{assets}/graphiql.min.css" integrity="sha256-{css}">
</head>
<body>
<div id="graphiql">Loading ...</div>
<script src="{assets}/react.production.min.js" integrity="sha256-{react}"></script>
<script src="{assets}/react-dom.production.min.js" integrity="sha256-{react_dom}"></script>
<script src="{assets}/graphiql.min.js" integrity="sha256-{graphiql}"></script>
<script src="{page}/page.js"></script>
</body>
</html>
"""

# Subscriptions come as server-sent events, which GraphiQL takes from an async iterator.
_SCRIPT: Final = """"use strict";

async function* results(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    text += value;
    for (;;) {
      const end = text.indexOf("\\r\\n\\r\\n");
      if (end < 0) break;
      const event = text.slice(0, end);
      text = text.slice(end + 4);
      const data = /^data: (.*)$/m.exec(event);
      if (event.startsWith("event: complete")) return;
      if (event.startsWith("event: next") && data) yield JSON.parse(data[1]);
    }
  }
}

async function fetcher(operation, options) {
  const response = await fetch("graphql", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Accept": "application/json, text/event-stream",
      ...(options && options.headers),
    },
    body: JSON.stringify(operation),
  });
  const kind = response.headers.get("Content-Type") || "";
  return kind.startsWith("text/event-stream") ? results(response) : response.json();
}

const WELCOME = `# An example; all names are in the documentation on the left.
# A key goes into the headers below: {"Authorization": "Bearer ..."}
{
  collections(limit: 10) {
    collections { name dimension metric points }
  }
}
`;

ReactDOM.render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultQuery: WELCOME,
    defaultEditorToolsVisibility: true,
    // A key stays in this page, and is gone with it.
    shouldPersistHeaders: false,
  }),
  document.getElementById("graphiql"),
);
"""


def assets_folder() -> Path | None:
    """Where the package keeps its files; None: it is not installed."""
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "static" / _PACKAGE


def install_page(app: FastAPI, introspection: bool) -> None:
    """introspection: without it the page knows no schema, and is not there."""
    folder = assets_folder()
    router = APIRouter(include_in_schema=False)

    @router.get(PAGE_PATH)
    async def page() -> Response:
        if folder is None or not introspection:
            raise NotFound("there is no GraphiQL page here; the schema is docs/reference/schema.graphql")
        text = _PAGE.format(
            assets=_ASSETS_PATH[1:],
            page=PAGE_PATH[1:],
            css=ASSETS["graphiql.min.css"],
            react=ASSETS["react.production.min.js"],
            react_dom=ASSETS["react-dom.production.min.js"],
            graphiql=ASSETS["graphiql.min.js"],
        )
        return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY})

    @router.get(f"{PAGE_PATH}/page.js")
    async def script() -> Response:
        return Response(_SCRIPT, media_type="text/javascript")

    app.include_router(router)
    if folder is not None and introspection:
        app.mount(_ASSETS_PATH, StaticFiles(directory=folder), name="static-graphiql")
