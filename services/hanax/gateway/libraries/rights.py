"""Who may do what with libraries: whoever may do it with their collections, `library-<32 hex digits>`.

Libraries are not for callers whose points are forced: documents have other metadata.
"""

from __future__ import annotations

from typing import Final

from hanax.core.library_names import collection_of
from hanax.gateway.calls import Call
from hanax.gateway.guard.scopes import Scope
from hanax.metadata.libraries.document_rows import chunk_not_found, document_not_found

# What only a grant for all of them covers: a library has no such id.
_EVERY: Final = collection_of("*")
_WHAT: Final = "a library"


def check_library(call: Call, scope: Scope, library_id: str) -> None:
    """Raises Unauthenticated or PermissionDenied, whether there is such a library or not."""
    call.caller.require_unconfined(_WHAT)
    call.caller.require(scope, collection_of(library_id))


def check_every_library(call: Call, scope: Scope) -> None:
    call.caller.require_unconfined(_WHAT)
    call.caller.require(scope, _EVERY)


def check_document(call: Call, scope: Scope, library_id: str, document_id: str) -> None:
    """Of one that was found, after `check_some`. Raises DocumentNotFound where it is not for the caller."""
    if not call.caller.allows(scope, collection_of(library_id)):
        raise document_not_found(document_id)


def check_chunk(call: Call, scope: Scope, library_id: str, chunk_id: str) -> None:
    """Of one that was found, after `check_some`. Raises ChunkNotFound where it is not for the caller."""
    if not call.caller.allows(scope, collection_of(library_id)):
        raise chunk_not_found(chunk_id)


def check_some(call: Call, scope: Scope) -> None:
    """Before a document or chunk is looked for. Raises Unauthenticated or PermissionDenied."""
    call.caller.require_unconfined(_WHAT)
    call.caller.require_some(scope, "documents")
