"""The names of collections that belong to libraries: they tell the library, and nobody else may use them."""

from __future__ import annotations

import re
from typing import Final

from hanax.core.errors import CollectionOfLibrary, InvalidArgument

_PREFIX: Final = "library-"
_FORM: Final = re.compile(
    rf"{_PREFIX}([0-9a-f]{{8}})([0-9a-f]{{4}})([0-9a-f]{{4}})([0-9a-f]{{4}})([0-9a-f]{{12}})"
)


def collection_of(library_id: str) -> str:
    """The collection of a library, whose id is 32 hex digits."""
    return f"{_PREFIX}{library_id}"


def library_of(collection: str) -> str | None:
    """The library's id, as users see it, that a collection belongs to by its name; None: to no library."""
    found = _FORM.fullmatch(collection)
    return None if found is None else "-".join(found.groups())


def check_changeable(collection: str) -> None:
    """Raises CollectionOfLibrary for a collection that only its library may change."""
    if library := library_of(collection):
        raise CollectionOfLibrary(
            f"collection {collection!r} belongs to a library, which knows each of its points: "
            f"change it through /api/v1/libraries/{library}",
            collection=collection,
            library=library,
        )


def check_free(collection: str) -> None:
    """Raises InvalidArgument for a name that only a library's collection may have."""
    if library_of(collection):
        raise InvalidArgument(
            f"name: names of the form {_PREFIX}<32 hex digits> are for collections of libraries"
        )
