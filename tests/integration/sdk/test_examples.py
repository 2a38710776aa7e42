"""The programs in sdk/examples and those in the guides run as they are written."""

from __future__ import annotations

import asyncio
import inspect
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway.stack import Stack

_ROOT = Path(__file__).parents[3]
_EXAMPLES = sorted((_ROOT / "sdk" / "examples").glob("*.py"))
_BLOCKS = [
    pytest.param(block, id=f"{guide.name}-{number}")
    for guide in (_ROOT / "docs" / "sdk.md", _ROOT / "sdk" / "README.md")
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("path", _EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, service: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    ended = runpy.run_path(str(path))["main"](service.gateway.url)
    if inspect.isawaitable(ended):

        async def run() -> Any:
            return await ended

        asyncio.run(run())
    assert capsys.readouterr().out


@pytest.mark.parametrize("block", _BLOCKS)
def test_a_block_of_the_guide_runs(block: str, service: Stack) -> None:
    program = block.replace("http://127.0.0.1:8000", service.gateway.url)
    program = program.replace("127.0.0.1:8081", service.gateway.grpc_address)
    module: dict[str, Any] = {"__name__": "guide"}
    exec(compile(program, "guide", "exec"), module)
    if "look" in module:
        asyncio.run(module["look"]())


def test_examples_are_the_package_of_nobody() -> None:
    """They import what users import: nothing of the house, nothing private."""
    for path in _EXAMPLES:
        imported = re.findall(r"^(?:from|import) (\S+)", path.read_text(), re.MULTILINE)
        known = {"__future__", "hxp_vector_client", "numpy", "pandas", *sys.stdlib_module_names}
        for name in imported:
            assert name.partition(".")[0] in known
            assert "._" not in name
