"""What a processor can do is read from its flags."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from hanax.embedder.backends.processor import has_bfloat16_tiles, has_wide_sums


@pytest.fixture(autouse=True)
def x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.mark.parametrize(
    ("told", "tiles", "wide"),
    [
        ("model name\t: amx_bf16\nflags\t\t: fpu sse2 avx2\n", False, False),
        ("flags\t\t: fpu avx512f avx512_bf16 avx512_vnni\n", False, True),
        ("flags\t\t: fpu amx_bf16 avx512_fp16 amx_tile amx_int8 arch_capabilities\n", True, True),
        ("processor: 0\nflags: fpu amx_bf16\nbugs: none\n", True, False),
        ("", False, False),
    ],
)
def test_flags(told: str, tiles: bool, wide: bool, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(told)
    assert has_bfloat16_tiles(cpuinfo) is tiles
    assert has_wide_sums(cpuinfo) is wide


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    assert not has_bfloat16_tiles(tmp_path / "none")
    assert not has_wide_sums(tmp_path / "none")


def test_arm_sums_widely_and_has_no_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert has_wide_sums(tmp_path / "none")
    assert not has_bfloat16_tiles(tmp_path / "none")
