"""Which changes of an OpenAPI document break clients, and which do not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scripts.openapi_changes import allows_breaking, breaking_changes

Schema = dict[str, Any]


def document(
    request: Schema | None = None, answer: Schema | None = None, parameters: list[Schema] | None = None
) -> Schema:
    operation: Schema = {
        "parameters": parameters or [],
        "responses": {"200": {"content": {"application/json": {"schema": answer or {"type": "object"}}}}},
    }
    if request is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": request}}}
    return {"paths": {"/things": {"post": operation}}}


def thing(required: tuple[str, ...] = (), closed: bool = True, **properties: Schema) -> Schema:
    made: Schema = {"type": "object", "properties": properties}
    if required:
        made["required"] = list(required)
    return {**made, "additionalProperties": False} if closed else made


TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
MAYBE: Schema = {"anyOf": [TEXT, {"type": "null"}]}


def enum(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def bounded(**bounds: Any) -> Schema:
    return {"type": "integer", **bounds}


# Of one field of a request: before, now, and what is said of it; nothing for what breaks nobody.
REQUESTS: list[tuple[str, Schema, Schema, str]] = [
    ("same", TEXT, TEXT, ""),
    ("another type", TEXT, WHOLE, "string is not taken"),
    ("narrower type", NUMBER, WHOLE, "number is not taken"),
    ("wider type", WHOLE, NUMBER, ""),
    ("no null any more", MAYBE, TEXT, "null is not taken"),
    ("null, too", TEXT, MAYBE, ""),
    ("one of several gone", {"anyOf": [TEXT, WHOLE]}, TEXT, "integer is not taken"),
    ("one more form", TEXT, {"oneOf": [WHOLE, TEXT]}, ""),
    ("value gone", enum("a", "b"), enum("a"), "'b' is not taken"),
    ("value more", enum("a"), enum("a", "b"), ""),
    ("some values only", TEXT, enum("a"), "only 'a' is taken"),
    ("any value", enum("a"), TEXT, ""),
    ("const of an enum", enum("a", "b"), {"const": "a"}, "'b' is not taken"),
    ("higher minimum", bounded(minimum=1), bounded(minimum=2), "minimum was 1, it is 2"),
    ("lower minimum", bounded(minimum=2), bounded(minimum=1), ""),
    ("new maximum", WHOLE, bounded(maximum=9), "maximum was None, it is 9"),
    ("no maximum", bounded(maximum=9), WHOLE, ""),
    ("shorter", {"type": "string", "maxLength": 9}, {"type": "string", "maxLength": 8}, "maxLength was 9"),
    ("another pattern", TEXT, {"type": "string", "pattern": "a+"}, "pattern was None"),
    ("another default", bounded(default=1), bounded(default=2), "the default was 1, it is 2"),
    ("items", {"type": "array", "items": NUMBER}, {"type": "array", "items": WHOLE}, "[]: number is not"),
    ("described", TEXT, {"type": "string", "description": "a text", "title": "T", "examples": ["x"]}, ""),
]


@pytest.mark.parametrize(("name", "before", "now", "said"), REQUESTS, ids=[case[0] for case in REQUESTS])
def test_a_request_that_was_right_stays_right(name: str, before: Schema, now: Schema, said: str) -> None:
    found = breaking_changes(document(thing(field=before)), document(thing(field=now)))
    check(found, "POST /things: body.field", said)
    parameter = {"in": "query", "name": "field"}
    found = breaking_changes(
        document(parameters=[{**parameter, "schema": before}]),
        document(parameters=[{**parameter, "schema": now}]),
    )
    check(found, "POST /things: query parameter field", said)


# The same of a field of an answer.
ANSWERS: list[tuple[str, Schema, Schema, str]] = [
    ("same", TEXT, TEXT, ""),
    ("another type", TEXT, WHOLE, "integer may come now"),
    ("narrower type", NUMBER, WHOLE, ""),
    ("wider type", WHOLE, NUMBER, "number may come now"),
    ("null, too", TEXT, MAYBE, "null may come now"),
    ("no null any more", MAYBE, TEXT, ""),
    ("one more form", TEXT, {"anyOf": [TEXT, WHOLE]}, "integer may come now"),
    ("value more", enum("a"), enum("a", "b"), ""),
    ("any value", enum("a"), TEXT, "any value may come"),
    ("items", {"type": "array", "items": WHOLE}, {"type": "array", "items": NUMBER}, "[]: number may come"),
    ("larger", bounded(maximum=9), WHOLE, ""),
]


@pytest.mark.parametrize(("name", "before", "now", "said"), ANSWERS, ids=[case[0] for case in ANSWERS])
def test_an_answer_that_was_understood_stays_so(name: str, before: Schema, now: Schema, said: str) -> None:
    old = document(answer=thing(("field",), closed=False, field=before))
    new = document(answer=thing(("field",), closed=False, field=now))
    check(breaking_changes(old, new), "POST /things: answer 200.field", said)


def test_fields_of_requests() -> None:
    old = document(thing(("a",), a=TEXT, b=TEXT))
    assert breaking_changes(old, document(thing(("a",), a=TEXT, b=TEXT, c=TEXT))) == []
    assert breaking_changes(old, document(thing(("a",), a=TEXT))) == ["POST /things: body.b is gone"]
    # Passed over from now on, and not refused.
    assert breaking_changes(old, document(thing(("a",), closed=False, a=TEXT))) == []
    now_needed = document(thing(("a", "b", "c"), a=TEXT, b=TEXT, c=TEXT))
    assert breaking_changes(old, now_needed) == [
        "POST /things: body.b is required now",
        "POST /things: body.c is required now",
    ]
    open_before = document(thing(closed=False, a=TEXT))
    assert breaking_changes(open_before, document(thing(a=TEXT))) == [
        "POST /things: body: other fields are not taken any more"
    ]


def test_fields_of_answers() -> None:
    old = document(answer=thing(("a",), closed=False, a=TEXT, b=TEXT))
    more = document(answer=thing(("a", "b"), closed=False, a=TEXT, b=TEXT, c=TEXT))
    assert breaking_changes(old, more) == []
    gone = document(answer=thing(("a",), closed=False, a=TEXT))
    assert breaking_changes(old, gone) == ["POST /things: answer 200.b is gone"]
    missing = document(answer=thing(closed=False, a=TEXT, b=TEXT))
    assert breaking_changes(old, missing) == ["POST /things: answer 200.a may be missing now"]


def test_parameters() -> None:
    one = {"in": "query", "name": "limit", "schema": WHOLE}
    old, none = document(parameters=[one]), document()
    assert breaking_changes(old, none) == ["POST /things: query parameter limit is gone"]
    assert breaking_changes(none, old) == []
    needed = document(parameters=[{**one, "required": True}])
    assert breaking_changes(old, needed) == ["POST /things: query parameter limit is required now"]
    assert breaking_changes(none, needed) == ["POST /things: query parameter limit is new and required"]


def test_paths_methods_bodies_and_statuses() -> None:
    old = document(thing(a=TEXT))

    def without(change: Any) -> list[str]:
        new = copy.deepcopy(old)
        change(new["paths"])
        return breaking_changes(old, new)

    assert without(lambda paths: paths.pop("/things")) == ["/things: the path is gone"]
    assert without(lambda paths: paths["/things"].pop("post")) == ["POST /things: the method is gone"]
    assert without(lambda paths: paths["/things"]["post"].pop("requestBody")) == [
        "POST /things: the body is gone"
    ]
    assert without(lambda paths: paths["/things"]["post"]["responses"].pop("200")) == [
        "POST /things: answer 200 is gone"
    ]
    assert without(lambda paths: paths["/things"]["post"]["requestBody"]["content"].clear()) == [
        "POST /things: body: application/json is gone"
    ]
    assert breaking_changes(document(), old) == ["POST /things: the body is required now"]
    assert breaking_changes({"paths": {}}, old) == []


def test_references_are_followed_also_to_themselves() -> None:
    def tree(value: Schema) -> Schema:
        children = {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}
        made = document(answer={"$ref": "#/components/schemas/Tree"})
        made["components"] = {"schemas": {"Tree": thing(("value",), value=value, children=children)}}
        return made

    assert breaking_changes(tree(WHOLE), tree(WHOLE)) == []
    assert breaking_changes(tree(WHOLE), tree(TEXT)) == [
        "POST /things: answer 200.value: string may come now"
    ]


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("0.1.0", "0.1.0", False),
        ("0.1.0", "0.1.9", False),
        ("0.1.0", "0.2.0", True),
        ("1.1.0", "1.2.0", False),
        ("1.9.0", "2.0.0", True),
        ("0.9.0", "1.0.0", True),
    ],
)
def test_versions_that_may_break(old: str, new: str, allowed: bool) -> None:
    assert allows_breaking(old, new) is allowed


def check(found: list[str], where: str, said: str) -> None:
    if not said:
        assert found == []
        return
    (one,) = found
    assert one.startswith(where)
    assert said in one
