"""What an object's schema makes of it, and what is wrong with it."""

from __future__ import annotations

from tests.operator.emulator import answers, built_in_rules, defaults, rules, schemas, structural
from tests.operator.emulator.answers import Cause
from tests.operator.emulator.kinds import Kind
from tests.operator.emulator.store import Obj, ObjectName


def by_schema(kind: Kind, obj: Obj, name: ObjectName) -> Obj:
    """`obj` typed, pruned and with its defaults. Raises 400 or 422."""
    schema = schemas.resolve(kind.schema)
    if kind.custom:
        metadata = structural.typed(obj["metadata"], schemas.field(schema, "metadata") or {})
        return {**structural.default(structural.prune(obj, schema), schema), "metadata": metadata}
    causes = list(structural.problems({**obj, "metadata": {}}, schema))
    types = [cause for cause in causes if cause.reason == "FieldValueTypeInvalid"]
    if types:
        raise answers.bad_request(
            f"{kind.kind} in version {kind.version!r} cannot be handled: {types[0].message}"
        )
    required = [
        cause for cause in causes if cause.reason == "FieldValueRequired" and "status" not in cause.field
    ]
    if required:
        raise answers.invalid(kind.qualified, name[1], required)
    try:
        return defaults.filled(structural.typed(obj, schema), kind.kind)
    except ValueError as error:
        raise answers.bad_request(
            f"{kind.kind} in version {kind.version!r} cannot be handled: {error}"
        ) from error


def check(kind: Kind, obj: Obj, old: Obj | None, name: ObjectName) -> None:
    """Raises 422 with all that is wrong. `old`: what it replaces."""
    causes = []
    if old is not None and "deletionTimestamp" in old["metadata"]:
        added = set(obj["metadata"].get("finalizers", ())) - set(old["metadata"].get("finalizers", ()))
        if added:
            why = "Forbidden: no new finalizers can be added if the object is being deleted"
            told = f"{why}, found new finalizers {sorted(added)}"
            causes.append(Cause("metadata.finalizers", told, "FieldValueForbidden"))
    if sum(owner.get("controller", False) for owner in obj["metadata"].get("ownerReferences", ())) > 1:
        causes.append(
            Cause(
                "metadata.ownerReferences",
                "Invalid value: Only one reference can have Controller set to true",
            )
        )
    if kind.custom:
        schema = schemas.resolve(kind.schema)
        wrong = list(structural.problems(obj, schema))
        # Rules judge only what the schema has found to be of the right shape.
        causes += wrong or list(rules.problems(obj, old, schema))
    else:
        causes += built_in_rules.problems(obj, old, kind.kind)
    if causes:
        raise answers.invalid(kind.qualified, name[1], causes)
