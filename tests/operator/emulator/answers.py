"""What the API server answers when it refuses: a Status document, with its code and reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cause:
    """One field that is wrong: where, in the server's words how, and a reason such as FieldValueInvalid."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class ApiError(Exception):
    """A refusal. `document` is the body of the answer."""

    def __init__(
        self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.document: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }
        if details:
            self.document["details"] = dict(details)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def forbidden(resource: str, name: str, why: str) -> ApiError:
    return ApiError(403, "Forbidden", f'{resource} "{name}" is forbidden: {why}')


def not_found(resource: str, name: str) -> ApiError:
    group, _, plural = _split(resource)
    return ApiError(
        404, "NotFound", f'{resource} "{name}" not found', {"name": name, "group": group, "kind": plural}
    )


def no_such_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def wrong_method() -> ApiError:
    return ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
    )


def already_exists(resource: str, name: str) -> ApiError:
    group, _, plural = _split(resource)
    return ApiError(
        409,
        "AlreadyExists",
        f'{resource} "{name}" already exists',
        {"name": name, "group": group, "kind": plural},
    )


def conflict(resource: str, name: str, why: str) -> ApiError:
    group, _, plural = _split(resource)
    return ApiError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource} "{name}": {why}',
        {"name": name, "group": group, "kind": plural},
    )


def modified(resource: str, name: str) -> ApiError:
    return conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def ownership_conflict(causes: Sequence[tuple[str, str]]) -> ApiError:
    """`causes` are (manager, field): who owns a field that another one applies without force."""
    many = "conflict" if len(causes) == 1 else "conflicts"
    told = ", ".join(f'conflict with "{manager}": {field}' for manager, field in causes)
    details = {
        "causes": [
            {"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": field}
            for manager, field in causes
        ]
    }
    return ApiError(409, "Conflict", f"Apply failed with {len(causes)} {many}: {told}", details)


def expired(asked: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def unsupported_media_type(found: str) -> ApiError:
    return ApiError(
        415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {found or 'none'}"
    )


def invalid(kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """`kind` is Kind.group, Kind alone in the core group."""
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    text = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    word, _, group = kind.partition(".")
    details = {
        "name": name,
        "group": group,
        "kind": word,
        "causes": [
            {"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes
        ],
    }
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details)


def failed(message: str) -> ApiError:
    return ApiError(500, "InternalError", message)


def _split(resource: str) -> tuple[str, str, str]:
    plural, dot, group = resource.partition(".")
    return group, dot, plural
