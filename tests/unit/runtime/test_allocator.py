"""What a process that holds much memory does with freed buffers, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")

_BEGIN = """
import resource
from pathlib import Path
from hanax.runtime.allocator import return_freed_memory

def resident_mib():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

return_freed_memory()
MIB = 1 << 20
"""


def told_by(script: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + script], capture_output=True, check=True, timeout=120
    )
    return float(done.stdout)


def test_memory_of_many_buffers_is_given_back() -> None:
    left_mib = told_by(
        """
before = resident_mib()
buffers = [bytearray(2 * MIB) for _ in range(100)]
assert resident_mib() > before + 190
del buffers
print(resident_mib() - before)
"""
    )
    assert left_mib < 24


def test_a_buffer_of_a_message_is_used_again() -> None:
    """Else each of its pages would be a fault, and cleared by the kernel: 512 for 2 MiB."""
    per_buffer = told_by(
        """
for _ in range(3):
    bytearray(b"x" * MIB * 2)
before = faults()
for _ in range(100):
    bytearray(b"x" * MIB * 2)
print((faults() - before) / 100)
"""
    )
    assert per_buffer < 64
