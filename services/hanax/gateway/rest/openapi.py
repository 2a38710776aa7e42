"""The OpenAPI document: bodies that routes read raw are described here, with examples."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from hanax.gateway.rest.openapi_exchange import describe_exchange
from hanax.gateway.schemas.envelopes import ErrorEnvelope

_TEMPLATE: Final = "#/components/schemas/{model}"

# Of every route. An error's code and status are told in docs; the form is one.
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": ErrorEnvelope, "description": "The request is refused; see error.code"},
    "5XX": {"model": ErrorEnvelope, "description": "The request failed; 503 is worth a retry"},
    422: {"model": ErrorEnvelope, "description": "A field is wrong; see error.code"},
}


def json_body(schema: type[BaseModel] | dict[str, Any], **examples: dict[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its JSON body itself."""
    described = schema if isinstance(schema, dict) else {"$ref": _reference(schema)}
    content = {
        "schema": described,
        "examples": {
            name: {"summary": name.replace("_", " "), "value": value} for name, value in examples.items()
        },
    }
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def form_body(parts: list[str], schema: dict[str, Any], **examples: dict[str, Any]) -> dict[str, Any]:
    """The same of a route that takes multipart/form-data too: JSON in the first part, a file in the last."""
    extra = json_body(schema, **examples)
    properties = {parts[0]: {"type": "string"}, parts[-1]: {"type": "string", "format": "binary"}}
    form = {"schema": {"type": "object", "required": parts, "properties": properties}}
    extra["requestBody"]["content"]["multipart/form-data"] = form
    return extra


def any_of(schemas: list[type[BaseModel]]) -> dict[str, Any]:
    """The schema of a body that is one of several."""
    return {"anyOf": [{"$ref": _reference(schema)} for schema in schemas]}


def install_openapi(app: FastAPI, bodies: list[type[BaseModel]]) -> None:
    """Serve the document with the schemas of `bodies` among its components."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            _, shared = models_json_schema([(body, "validation") for body in bodies], ref_template=_TEMPLATE)
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            for name, schema in shared["$defs"].items():
                schemas.setdefault(name, schema)
            describe_exchange(made)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _reference(schema: type[BaseModel]) -> str:
    return _TEMPLATE.format(model=schema.__name__)
