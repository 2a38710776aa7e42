"""A shard with more data than memory opens, answers and takes writes: its files are mapped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from hanax.core.distances import Metric
from hanax.engine.shard import Schema
from tests.unit.engine.indexed import options
from tests.unit.engine.rigs import Rig

DIMENSION = 512
ROWS = 50_000

# What it takes after opening counts, not what the interpreter and the compiled kernels take.
CHILD = """
import resource, sys
from pathlib import Path
import numpy as np
from hanax.core.distances import Metric
from hanax.core.index_specs import SearchParameters
from hanax.engine.shard import Schema
from tests.unit.engine.indexed import options
from tests.unit.engine.rigs import Rig

folder, (limit, dimension, rows) = Path(sys.argv[1]), map(int, sys.argv[2:])
schema = Schema.single(dimension, Metric.EUCLIDEAN)
query = np.ones((1, dimension), np.float32)

def use(rig, first):
    for parameters in (SearchParameters(), SearchParameters(exact=True)):
        (hits,) = rig.shard.search(query, 10, parameters=parameters)
        assert len(hits.points) == 10
    rig.upsert(list(range(first, first + 200)), np.repeat(query, 200, axis=0))
    rig.delete(list(range(0, 100)))
    rig.shard.seal()

with Rig(folder / "small", schema, options()) as rig:
    rig.upsert(list(range(1_500)), np.repeat(query, 1_500, axis=0))
    rig.shard.compact()
    use(rig, 5_000)
status = Path("/proc/self/status").read_text()
used = int(status.split("VmData:")[1].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + limit, used + limit))
with Rig(folder / "large", schema, options(index_memory_bytes=limit // 2)) as rig:
    assert rig.shard.stats().points == rows
    use(rig, 1_000_000)
    assert rig.shard.stats().points == rows + 200 - 100
    print("memory", rig.shard.stats().index_memory_bytes)
"""


def test_opening_and_use_take_a_part_of_the_data_in_memory(folder: Path) -> None:
    random = np.random.default_rng(1)
    with Rig(folder / "large", Schema.single(DIMENSION, Metric.EUCLIDEAN), options()) as rig:
        for first in range(0, ROWS, 2_000):
            rig.upsert(list(range(first, first + 2_000)), random.random((2_000, DIMENSION), np.float32))
        rig.shard.compact()
        size = rig.shard.stats().disk_bytes
        codes = rig.shard.stats().index_memory_bytes
    limit = 48 * 2**20
    assert size > 2 * limit
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), str(limit), str(DIMENSION), str(ROWS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"memory {codes}\n"
