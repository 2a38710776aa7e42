"""All objects that the operator watches, as they were last seen. A reconcile reads nothing else.

Two sources fill it: watch events, one object at a time, and lists, which also tell what is gone. They
overtake one another; an object's resource version decides which of two states is the later one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from hanax_operator.objects import (
    Kind,
    Manifest,
    ObjectKey,
    is_deleting,
    key_of,
    labels_of,
    uid_of,
    version_of,
)


class Store:
    """Objects by key, and by the values of some labels (`indexed`). Not for several threads."""

    def __init__(self, indexed: tuple[str, ...]) -> None:
        self._indexed = indexed
        self._objects: dict[ObjectKey, Manifest] = {}
        self._kinds: dict[tuple[str, str], set[ObjectKey]] = defaultdict(set)
        self._labels: dict[tuple[str, str], set[ObjectKey]] = defaultdict(set)
        # Deleted objects by key: a list that was taken before must not bring them back.
        self._gone: dict[ObjectKey, int] = {}
        # Version of the last list by kind: what is not in it and not younger is gone.
        self._listed: dict[tuple[str, str], int] = {}

    def put(self, obj: Manifest, *, was_read: bool = False) -> bool:
        """Take an object up. False when it is known already, or was deleted later than this state.

        was_read: by its name, just now. So it is there, and no list has it because it lost its label.
        """
        key = key_of(obj)
        known = self._objects.get(key)
        version = version_of(obj)
        if known is not None and version <= version_of(known):
            return False
        if version < self._gone.get(key, 0):
            return False
        listed = self._listed.get((key.api_version, key.kind), 0)
        if known is None and version <= listed and not was_read:
            return False
        self._gone.pop(key, None)
        self._remove(key)
        self._objects[key] = obj
        self._kinds[key.api_version, key.kind].add(key)
        for label in self._label_values(obj):
            self._labels[label].add(key)
        return True

    def drop(self, obj: Manifest) -> bool:
        """Forget an object that was deleted. False when it is not there, or is another by now."""
        key = key_of(obj)
        known = self._objects.get(key)
        if known is not None and uid_of(known) != uid_of(obj) and version_of(known) > version_of(obj):
            return False
        self._gone[key] = version_of(obj)
        return self._remove(key)

    def replace(self, kind: Kind, objects: Iterable[Manifest], version: int) -> list[Manifest]:
        """Take up a list of all objects of a kind as of `version`. Returns what changed, old or new."""
        changed = []
        listed = set()
        for obj in objects:
            listed.add(key_of(obj))
            if self.put(obj):
                changed.append(obj)
        for key in self._kinds[kind.api_version, kind.kind] - listed:
            known = self._objects[key]
            if version_of(known) <= version:
                self._remove(key)
                changed.append(known)
        self._listed[kind.api_version, kind.kind] = max(
            version, self._listed.get((kind.api_version, kind.kind), 0)
        )
        # What is older is not taken up any more, whatever tells it.
        for key, gone_at in list(self._gone.items()):
            if (key.api_version, key.kind) == kind[:2] and gone_at <= version:
                del self._gone[key]
        return changed

    def get(self, key: ObjectKey) -> Manifest | None:
        return self._objects.get(key)

    def of_kind(self, kind: Kind) -> Iterator[Manifest]:
        """By name."""
        for key in sorted(self._kinds[kind.api_version, kind.kind]):
            yield self._objects[key]

    def labelled(self, label: str, value: str) -> dict[ObjectKey, Manifest]:
        """All objects with this value of an indexed label, by key in order."""
        return {key: self._objects[key] for key in sorted(self._labels.get((label, value), ()))}

    def _remove(self, key: ObjectKey) -> bool:
        obj = self._objects.pop(key, None)
        if obj is None:
            return False
        self._kinds[key.api_version, key.kind].discard(key)
        for label in self._label_values(obj):
            keys = self._labels[label]
            keys.discard(key)
            if not keys:
                del self._labels[label]
        return True

    def _label_values(self, obj: Manifest) -> list[tuple[str, str]]:
        labels = labels_of(obj)
        return [(label, labels[label]) for label in self._indexed if label in labels]


def present(obj: Manifest | None) -> Manifest | None:
    """The object, unless it is being deleted."""
    return None if obj is None or is_deleting(obj) else obj
