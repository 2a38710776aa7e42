"""docs/settings.md lists every HANAX_OPERATOR_ variable, with the default and the meaning the code has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hanax_operator.release import Release
from hanax_operator.settings import OperatorSettings

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "settings.md"
HEAD = "| variable | default | meaning |\n|---|---|---|\n"


def written(default: Any) -> str:
    """As it would be given in a variable; nothing for what is empty, or is found out at the start."""
    if default in (None, ""):
        return ""
    return f"`{json.dumps(default) if isinstance(default, tuple | dict) else default}`"


def settings_table() -> str:
    """The table as the code has it: of the process first, then of the release."""
    rows: dict[str, str] = {}
    for kind in (OperatorSettings, Release):
        for name, field in kind.model_fields.items():
            assert field.description, f"{kind.__name__}.{name} has no description"
            assert name not in rows, f"{name} is a setting of both"
            default = written(None if field.default_factory else field.get_default())
            rows[name] = f"| `HANAX_OPERATOR_{name.upper()}` | {default} | {field.description} |\n"
    return "".join(rows.values())


def test_the_document_holds_the_operators_table_of_the_code() -> None:
    assert HEAD + settings_table() in DOCUMENT.read_text(), (
        f"put this into {DOCUMENT.relative_to(ROOT)}:\n\n{HEAD}{settings_table()}"
    )


def test_a_variable_of_the_process_that_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OperatorSettings.model_fields:
        monkeypatch.delenv(f"HANAX_OPERATOR_{name.upper()}", raising=False)
    unset = OperatorSettings()
    for name in OperatorSettings.model_fields:
        monkeypatch.setenv(f"HANAX_OPERATOR_{name.upper()}", "")
    assert OperatorSettings() == unset
