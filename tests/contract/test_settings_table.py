"""docs/settings.md lists every HANAX_ variable, with the default and the meaning the code has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hanax.core.settings import Settings, ShardSettings

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "settings.md"
HEAD = "| variable | default | process | meaning |\n|---|---|---|---|\n"
# Kernels are compiled for one form of themselves, before there are settings.
READ_AT_IMPORT = {"HANAX_KERNELS"}
PROCESSES = {
    "Settings": "all",
    "GatewaySettings": "gateway",
    "ShardSettings": "index-shard",
    "EmbedderSettings": "embedder",
    "BatchSettings": "batch-processor",
    "LocalSettings": "hana-x-vector",
    "CommandSettings": "commands",
}


def written(default: Any) -> str:
    return "" if default in (None, "") else f"`{default}`"


def settings_table() -> str:
    """The table as the code has it: shared settings first, then by process."""
    rows: dict[str, tuple[str, list[str], str]] = {}
    kinds: list[type[Settings]] = [
        Settings,
        *sorted(Settings.__subclasses__(), key=lambda kind: list(PROCESSES).index(kind.__name__)),
    ]
    for kind in kinds:
        for name in kind.__annotations__:
            if name == "model_config":
                continue
            field = kind.model_fields[name]
            assert field.description, f"{kind.__name__}.{name} has no description"
            default = written(field.get_default())
            first = rows.setdefault(name, (default, [], field.description))
            # One variable has one meaning, whichever process reads it.
            assert first[::2] == (default, field.description), f"{name} differs in {kind.__name__}"
            first[1].append(PROCESSES[kind.__name__])
    return "".join(
        f"| `HANAX_{name.upper()}` | {default} | {', '.join(processes)} | {meaning} |\n"
        for name, (default, processes, meaning) in rows.items()
    )


def test_the_document_holds_the_table_of_the_code() -> None:
    assert HEAD + settings_table() in DOCUMENT.read_text(), (
        f"put this into {DOCUMENT.relative_to(ROOT)}:\n\n{HEAD}{settings_table()}"
    )


def test_no_other_variable_is_read() -> None:
    known = set(re.findall(r"`(HANAX_[A-Z_]+)`", settings_table())) | READ_AT_IMPORT
    for variable in READ_AT_IMPORT:
        assert f"| `{variable}` |" in DOCUMENT.read_text()
    used = {
        (name, str(path.relative_to(ROOT)))
        for path in (ROOT / "services").rglob("*.py")
        for name in re.findall(r"\bHANAX_[A-Z_]+[A-Z]\b", path.read_text())
        if name not in known
    }
    assert not used, f"not in docs/settings.md: {sorted(used)}"


def test_a_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANAX_SHARD_PORT", "7")
    monkeypatch.setenv("HANAX_DATA_DIR", "/data")
    settings = ShardSettings()
    assert (settings.shard_port, settings.data_dir) == (7, Path("/data"))


@pytest.mark.parametrize("kind", Settings.__subclasses__())
def test_a_variable_that_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch, kind: type[Settings]) -> None:
    for name in kind.model_fields:
        monkeypatch.delenv(f"HANAX_{name.upper()}", raising=False)
    unset = kind()
    for name in kind.model_fields:
        monkeypatch.setenv(f"HANAX_{name.upper()}", "")
    assert kind() == unset


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HANAX_SHARD_PORT", "70000"),
        ("HANAX_SHARD_THREADS", "0"),
        ("HANAX_NODE_NAME", "../shard"),
        ("HANAX_LOG_LEVEL", "loud"),
        ("HANAX_DRAIN_GRACE_S", "-1"),
    ],
)
def test_a_bad_value_names_its_setting(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError, match=variable.removeprefix("HANAX_").lower()):
        ShardSettings()
