from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine.folders import fast_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder
