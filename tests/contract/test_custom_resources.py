"""The CRDs are current and whole, and the API server by them judges as the operator does by the specs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from hanax.core.errors import InvalidArgument
from hanax.core.resources.collections import Collection
from hanax.core.resources.crds import crd_documents
from hanax.core.resources.models import Model
from hanax.core.resources.names import API_VERSION, EXTERNAL_MODEL, VECTOR_COLLECTION
from tests.contract import custom_resource_specs as specs
from tests.contract.custom_resource_specs import Spec, Wrong, WrongChange
from tests.operator.emulator import rules, schemas, structural

ROOT = Path(__file__).parents[2]
DOCUMENTS = {document["spec"]["names"]["kind"]: document for document in crd_documents()}
PARSERS: dict[str, type[Collection] | type[Model]] = {"VectorCollection": Collection, "ExternalModel": Model}

RIGHT = [
    pytest.param(kind, spec, id=f"{kind}: {name}")
    for kind, table in (("VectorCollection", specs.RIGHT_COLLECTIONS), ("ExternalModel", specs.RIGHT_MODELS))
    for name, spec in table.items()
]
WRONG = [
    pytest.param(kind, wrong, id=f"{kind}: {name}")
    for kind, table in (("VectorCollection", specs.WRONG_COLLECTIONS), ("ExternalModel", specs.WRONG_MODELS))
    for name, wrong in table.items()
]
RIGHT_CHANGES = [
    pytest.param(kind, change, id=f"{kind}: {name}")
    for kind, table in (
        ("VectorCollection", specs.RIGHT_COLLECTION_CHANGES),
        ("ExternalModel", specs.RIGHT_MODEL_CHANGES),
    )
    for name, change in table.items()
]
WRONG_CHANGES = [
    pytest.param(kind, change, id=f"{kind}: {name}")
    for kind, table in (
        ("VectorCollection", specs.WRONG_COLLECTION_CHANGES),
        ("ExternalModel", specs.WRONG_MODEL_CHANGES),
    )
    for name, change in table.items()
]


def declared(kind: str, spec: Spec, name: str = "articles") -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "vectors",
        "uid": "5d1c",
        "generation": 1,
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def schema_of(kind: str) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = DOCUMENTS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def stored(kind: str, spec: Spec, name: str = "articles") -> dict[str, Any]:
    """The object as the API server keeps it."""
    schema = schemas.custom(schema_of(kind))
    kept: dict[str, Any] = structural.default(structural.prune(declared(kind, spec, name), schema), schema)
    return kept


def refusals(kind: str, obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    """What the API server has against it, each with the field; rules come after the schema, as there."""
    schema = schemas.custom(schema_of(kind))
    found = list(structural.problems(obj, schema)) or list(rules.problems(obj, old, schema_of(kind)))
    return [f"{cause.field}: {cause.message}" for cause in found]


def unknown_fields(kind: str, spec: Spec) -> list[str]:
    """What `kubectl` refuses, for it asks the server to be strict."""
    return [
        path
        for path, _ in _fields(spec, "spec.")
        if path not in dict(_fields(stored(kind, spec)["spec"], "spec."))
    ]


def _fields(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        yield path + name, inner
        if isinstance(inner, dict):
            yield from _fields(inner, f"{path}{name}.")


def test_generated_files_are_current() -> None:
    check = [sys.executable, "-m", "scripts.gen_crds", "--check"]
    found = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("folder", ["crds", "charts/hana-x-vector/crds"])
def test_the_files_say_what_the_code_says(folder: str) -> None:
    for kind, document in DOCUMENTS.items():
        path = ROOT / folder / f"{document['spec']['names']['plural']}.yaml"
        assert yaml.safe_load(path.read_text()) == document, kind


def test_names_are_those_of_the_code() -> None:
    for name in (VECTOR_COLLECTION, EXTERNAL_MODEL):
        document = DOCUMENTS[name.kind]
        assert document["metadata"]["name"] == name.crd
        assert document["spec"]["names"]["shortNames"] == [name.short]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_schemas_are_structural_and_teach(kind: str) -> None:
    """Every field has a type and a description, which ends like a sentence; nothing is left open."""

    def look(schema: Mapping[str, Any], path: str) -> None:
        assert "$ref" not in schema, path
        assert "oneOf" not in schema, path
        if schema.get("x-kubernetes-int-or-string"):
            return
        assert schema.get("type"), f"{path} has no type"
        assert "x-kubernetes-preserve-unknown-fields" not in schema, path
        if schema["type"] == "object" and not path.endswith("metadata"):
            assert ("properties" in schema) != ("additionalProperties" in schema), f"{path} is open"
        for name, field in schema.get("properties", {}).items():
            if name != "metadata":
                assert field.get("description", "").endswith("."), f"{path}.{name} is not explained"
            look(field, f"{path}.{name}")
        for word in ("items", "additionalProperties"):
            if word in schema:
                look(schema[word], f"{path}[]")

    look(schema_of(kind), kind)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_rules_compile_and_name_fields_that_there_are(kind: str) -> None:
    assert not list(rules.check(schema_of(kind)))

    def look(schema: Mapping[str, Any], path: str) -> None:
        for rule in schema.get("x-kubernetes-validations", ()):
            place: Any = schema
            for name in filter(None, rule.get("fieldPath", "").split(".")):
                place = place["properties"][name]
        for name, field in schema.get("properties", {}).items():
            look(field, f"{path}.{name}")
        for word in ("items", "additionalProperties"):
            if isinstance(schema.get(word), Mapping):
                look(schema[word], path)

    look(schema_of(kind), kind)


@pytest.mark.parametrize(("kind", "spec"), RIGHT)
def test_what_is_right_is_taken(kind: str, spec: Spec) -> None:
    """Both as people write it and as the API server keeps it, and both are the same to the operator."""
    assert not unknown_fields(kind, spec)
    kept = stored(kind, spec)
    assert not refusals(kind, kept)
    parsed = PARSERS[kind].parse(declared(kind, spec))
    assert PARSERS[kind].parse(kept).spec == parsed.spec
    again = PARSERS[kind].parse(declared(kind, parsed.spec.manifest()))
    assert again.spec == parsed.spec


@pytest.mark.parametrize(("kind", "wrong"), WRONG)
def test_what_is_wrong_is_refused_by_the_api_server(kind: str, wrong: Wrong) -> None:
    if unknown := unknown_fields(kind, wrong.spec):
        assert unknown == [f"spec.{wrong.field}"]
        return
    told = refusals(kind, stored(kind, wrong.spec))
    assert any(wrong.field in line and wrong.allowed.lower() in line.lower() for line in told), told


@pytest.mark.parametrize(("kind", "wrong"), WRONG)
def test_what_is_wrong_is_refused_by_the_operator(kind: str, wrong: Wrong) -> None:
    with pytest.raises(InvalidArgument) as failure:
        PARSERS[kind].parse(declared(kind, wrong.spec))
    told = failure.value.message
    assert told.startswith("spec")
    assert wrong.field in told
    assert wrong.allowed in told


@pytest.mark.parametrize(("kind", "change"), RIGHT_CHANGES)
def test_what_may_change_changes(kind: str, change: tuple[Spec, Spec]) -> None:
    old, new = (stored(kind, spec) for spec in change)
    assert not refusals(kind, old)
    assert not refusals(kind, new, old)


@pytest.mark.parametrize(("kind", "change"), WRONG_CHANGES)
def test_what_is_fixed_stays(kind: str, change: WrongChange) -> None:
    old, new = stored(kind, change.old), stored(kind, change.new)
    assert not refusals(kind, old)
    assert not refusals(kind, new)
    assert any(line.startswith(f"spec.{change.field}: ") for line in refusals(kind, new, old))
    assert not refusals(kind, old, old)


@pytest.mark.parametrize(
    ("kind", "name", "right"),
    [
        ("VectorCollection", "a" * 63, True),
        ("VectorCollection", "a" * 64, False),
        ("VectorCollection", "a.b", False),
        ("ExternalModel", "all-minilm-l6.v2", True),
        ("ExternalModel", "a" * 64, False),
        ("ExternalModel", "auto", False),
    ],
)
def test_names_can_be_labels(kind: str, name: str, right: bool) -> None:
    spec = specs.MODEL if kind == "ExternalModel" else specs.COLLECTION
    told = refusals(kind, stored(kind, spec, name))
    assert not told if right else "metadata.name" in told[0]


def test_a_status_is_kept_as_it_was_written() -> None:
    """No default is added to it: the operator would take its own status for another."""
    status = {
        "observedGeneration": 2,
        "phase": "Ready",
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Serving",
                "message": "",
                "observedGeneration": 2,
                "lastTransitionTime": "2026-01-02T03:04:05Z",
            }
        ],
        "shards": [{"shard": 0, "pods": ["vc-a-0-0"], "ready": True, "indexes": {"built": 3}}],
        "readyShards": "1/1",
    }
    schema = schemas.custom(schema_of("VectorCollection"))
    obj = declared("VectorCollection", specs.COLLECTION) | {"status": status}
    kept = structural.default(structural.prune(obj, schema), schema)
    assert kept["status"] == status
    assert not list(structural.problems(kept, schema))
