"""Run the emulated API server alone: `python -m tests.operator.emulator [PORT]`; prints a kubeconfig."""

from __future__ import annotations

import asyncio
import sys

from tests.operator.emulator.server import ApiServer
from tests.operator.kubeconfigs import kubeconfig


async def main(port: int) -> None:
    runner, url = await ApiServer().start(port)
    print(kubeconfig(url), flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
