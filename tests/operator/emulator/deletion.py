"""What a DELETE asks for, and what it leaves of an object that does not end at once."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

from tests.operator.emulator import answers
from tests.operator.emulator.kinds import Kind
from tests.operator.emulator.store import Obj

_FOREGROUND: Final = "foregroundDeletion"
_ORPHAN: Final = "orphan"


@dataclass(frozen=True)
class Deletion:
    """The body of a DELETE: preconditions, what becomes of dependents, how long the object may take."""

    uid: str = ""
    revision: str = ""
    propagation: str = "Background"
    grace_s: int | None = None


def check_preconditions(kind: Kind, old: Obj, how: Deletion) -> None:
    """Raises 409 where another object is meant, or another state of it."""
    metadata = old["metadata"]
    for word, asked, found, happened in (
        ("UID", how.uid, metadata["uid"], "deleted and then recreated"),
        ("ResourceVersion", how.revision, metadata["resourceVersion"], "modified"),
    ):
        if asked and asked != found:
            why = f"the {word} in the precondition ({asked}) does not match the {word} in record "
            why += f"({found}). The object might have been {happened}"
            raise answers.conflict(kind.kind, metadata["name"], why)


def marked(old: Obj, how: Deletion) -> Obj | None:
    """The object on its way out; None where it has neither finalizers nor a grace period to wait for."""
    metadata = old["metadata"]
    finalizers = list(metadata.get("finalizers", ()))
    if how.propagation in ("Foreground", "Orphan"):
        finalizers.append(_FOREGROUND if how.propagation == "Foreground" else _ORPHAN)
    grace = _grace(old, how)
    if not finalizers and not grace:
        return None
    marks = dict(metadata)
    if "deletionTimestamp" not in metadata:
        marks |= {"deletionTimestamp": timestamp(grace), "deletionGracePeriodSeconds": grace}
        if metadata.get("generation"):
            marks["generation"] = metadata["generation"] + 1
    elif grace < marks.get("deletionGracePeriodSeconds", 0):
        marks["deletionGracePeriodSeconds"] = grace
    marks |= {"finalizers": list(dict.fromkeys(finalizers))} if finalizers else {}
    return {**old, "metadata": marks}


def _grace(obj: Obj, how: Deletion) -> int:
    """Only a pod that runs somewhere is given time; its kubelet ends it."""
    if (
        obj["kind"] != "Pod"
        or not obj["spec"].get("nodeName")
        or obj["status"].get("phase") in ("Failed", "Succeeded")
    ):
        return 0
    grace = obj["spec"].get("terminationGracePeriodSeconds", 30) if how.grace_s is None else how.grace_s
    return int(grace)


def timestamp(later_s: int = 0) -> str:
    """Now or later, as the server writes times."""
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=later_s)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
