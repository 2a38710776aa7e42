"""One request, in the form that all transports take, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from hxp_vector_client.columns import Columns
from hxp_vector_client.operations import Operation


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that goes with a job."""

    name: str
    data: BinaryIO


@dataclass(slots=True)
class Request:
    """path, query and body: as REST has them, but vectors are numpy arrays.

    columns: points, in place of `vectors` in the body.
    key: known to the server as the same request when it is sent again; empty: it changes nothing.
    if_match: the revision that a library, document or chunk must have.
    """

    operation: Operation
    body: Mapping[str, Any] | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    columns: Columns | None = None
    upload: Upload | None = None
    if_match: int | None = None
    key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
