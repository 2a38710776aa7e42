"""Each measurement in a process of its own: threads and cores are fixed before libraries load.

`python -m benchmarks.index.processes MODULE FUNCTION FILE` reads the arguments as JSON from standard input
and writes the result to FILE, because libraries print.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import orjson

_ONE_THREAD: Final = {
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
# scann's tensor library and others tell of every start.
_QUIET: Final = {"TF_CPP_MIN_LOG_LEVEL": "3"}


def call(module: str, function: str, arguments: dict[str, Any], one_core: int | None = None) -> Any:
    """The result of `module.function(**arguments)`, through JSON. one_core: the number of the core to run
    on alone, with one thread in every library; None leaves all as it is.

    Raises RuntimeError when the process fails.
    """
    environment = os.environ | _QUIET
    if one_core is not None:
        cores = sorted(os.sched_getaffinity(0))
        environment |= _ONE_THREAD | {"BENCH_CORE": str(cores[one_core % len(cores)])}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        command = [sys.executable, "-m", __name__, f"benchmarks.index.{module}", function, str(file)]
        done = subprocess.run(command, input=orjson.dumps(arguments), env=environment, check=False)
        if done.returncode:
            raise RuntimeError(f"{module}.{function}({arguments}) ended with {done.returncode}")
        return orjson.loads(file.read_bytes())


def _main() -> None:
    if core := os.environ.get("BENCH_CORE"):
        os.sched_setaffinity(0, {int(core)})
    module, function, file = sys.argv[1:]
    arguments = orjson.loads(sys.stdin.buffer.read())
    result = getattr(importlib.import_module(module), function)(**arguments)
    Path(file).write_bytes(orjson.dumps(result, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS))


if __name__ == "__main__":
    _main()
