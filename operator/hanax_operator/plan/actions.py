"""Actions on objects. Each carries the reason for which it was decided, for logs and for events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from hanax.core.resources.names import FIELD_MANAGER
from hanax_operator.objects import Manifest, ObjectKey


@dataclass(frozen=True)
class Apply:
    """Make the object so, by server-side apply.

    manager: who owns the fields then. force: also those that others have set otherwise, else a conflict.
    """

    key: ObjectKey
    manifest: Manifest
    reason: str
    manager: str = FIELD_MANAGER
    force: bool = True


@dataclass(frozen=True)
class Patch:
    """Merge `patch` into an object that others own too."""

    key: ObjectKey
    patch: Manifest
    reason: str


@dataclass(frozen=True)
class Delete:
    """Remove this very object."""

    key: ObjectKey
    uid: str
    reason: str


Action: TypeAlias = Apply | Patch | Delete
