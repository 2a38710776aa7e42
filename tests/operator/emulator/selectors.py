"""Label selectors and field selectors, as they stand in a query."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.operator.emulator.answers import bad_request

Obj = Mapping[str, Any]
Predicate = Callable[[Obj], bool]

_TERM: Final = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<missing>[\w./-]+)"
    r"|(?P<set>[\w./-]+)\s+(?P<word>in|notin)\s*\((?P<values>[^)]*)\)"
    r"|(?P<key>[\w./-]+)\s*(?P<sign>==|!=|=)\s*(?P<value>[\w./-]*)"
    r"|(?P<present>[\w./-]+))\s*(?:,|$)"
)
# Of any kind: its name and namespace. Of these kinds, also:
_FIELDS: Final = {
    "Pod": ("spec.nodeName", "status.phase", "spec.serviceAccountName", "status.podIP"),
    "Event": (
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
        "reason",
        "type",
    ),
    "Secret": ("type",),
    "Namespace": ("status.phase",),
}


def by_labels(text: str) -> Predicate:
    """Raises 400 where the text is no selector."""
    tests: list[Callable[[Mapping[str, str]], bool]] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise bad_request(f"unable to parse requirement: found '{text[at:]}'")
        tests.append(_label_test(found))
        at = found.end()
    return lambda obj: all(test(obj["metadata"].get("labels") or {}) for test in tests)


def _label_test(term: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    if missing := term["missing"]:
        return lambda labels: missing not in labels
    if present := term["present"]:
        return lambda labels: present in labels
    if key := term["set"]:
        values = {word.strip() for word in term["values"].split(",")}
        if term["word"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    name, value = term["key"], term["value"]
    if term["sign"] == "!=":
        return lambda labels: labels.get(name) != value
    return lambda labels: labels.get(name) == value


def by_fields(text: str, kind: str) -> Predicate:
    """Raises 400 for a field that this kind can't be asked by."""
    tests: list[Predicate] = []
    for term in filter(None, text.split(",")):
        name, sign, value = re.split(r"(==|!=|=)", term, maxsplit=1)
        if name not in ("metadata.name", "metadata.namespace", *_FIELDS.get(kind, ())):
            raise bad_request(f"field label not supported: {name!r} is not a known field selector")
        tests.append(_field_test(name.split("."), value, sign != "!="))
    return lambda obj: all(test(obj) for test in tests)


def _field_test(path: list[str], value: str, equal: bool) -> Predicate:
    def test(obj: Obj) -> bool:
        found: Any = obj
        for word in path:
            found = found.get(word) if isinstance(found, Mapping) else None
        return (str(found or "") == value) == equal

    return test
