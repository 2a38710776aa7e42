"""Decoded JSON values, in the words of whoever wrote them."""

from __future__ import annotations

from typing import Final

UINT64_MAX: Final = 2**64 - 1


def kind_of(value: object) -> str:
    """What a value is, for a message that refuses it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case []:
            return "an empty list"
        case list():
            return "a list"
        case str():
            return "text" if is_unicode(value) else "text that is not valid Unicode"
        case int() if abs(value) > UINT64_MAX:
            # Python refuses to write out integers of thousands of digits.
            return "an integer past 64 bits"
        case int() | float():
            return f"the number {value}"
        case _:
            return type(value).__name__


def is_unicode(text: str) -> bool:
    """False for lone surrogates, which some JSON readers let through and UTF-8 can't hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
