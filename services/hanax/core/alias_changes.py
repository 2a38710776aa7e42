"""Changes of aliases, decided from all that there are: whoever keeps them makes each change as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hanax.core.errors import (
    AliasNotFound,
    CollectionExists,
    CollectionHasAliases,
    CollectionNotFound,
    FailedPrecondition,
)
from hanax.core.limits import MAX_ALIASES
from hanax.core.routing import Aliases


def changed_aliases(
    before: Aliases, changes: Mapping[str, str | None], exists: Callable[[str], bool]
) -> Aliases:
    """Point aliases to collections, or to None to remove them. exists: whether a collection is declared.

    A collection may be named by an alias of before. Raises CollectionNotFound, AliasNotFound,
    CollectionExists for an alias that is named like one, and FailedPrecondition past MAX_ALIASES.
    """
    targets: dict[str, str | None] = {}
    for alias, name in changes.items():
        if exists(alias):
            raise CollectionExists(f"{alias!r} is a collection, and can't be an alias", collection=alias)
        if name is None:
            if alias not in before.collection_by_alias:
                raise AliasNotFound(f"there is no alias {alias!r}", alias=alias)
            targets[alias] = None
            continue
        target = before.collection_by_alias.get(name, name)
        if not exists(target):
            raise CollectionNotFound(f"there is no collection {target!r}", collection=target)
        targets[alias] = target
    return _merged(before, targets)


def without_collection(before: Aliases, name: str, with_aliases: bool) -> Aliases:
    """What is left when a collection goes. Raises CollectionHasAliases unless they are to go with it."""
    doomed = before.of(name)
    if doomed and not with_aliases:
        raise CollectionHasAliases(
            f"collection {name!r} has aliases: {', '.join(doomed[:5])}"
            f"{', ...' if len(doomed) > 5 else ''}; remove or switch them first",
            collection=name,
            aliases=doomed,
        )
    return _merged(before, dict.fromkeys(doomed))


def _merged(before: Aliases, changes: Mapping[str, str | None]) -> Aliases:
    merged = {**before.collection_by_alias, **changes}
    kept = {alias: name for alias, name in sorted(merged.items()) if name is not None}
    if kept == before.collection_by_alias:
        return before
    if len(kept) > MAX_ALIASES:
        raise FailedPrecondition(f"there are at most {MAX_ALIASES} aliases", limit=MAX_ALIASES)
    return Aliases(generation=before.generation + 1, collection_by_alias=kept)
