"""Generated files: writing them, or saying which are not current.

Each `scripts.gen_...` knows what its files shall hold. The rest is the same for all:

    python -m scripts.gen_...            write what is not current
    python -m scripts.gen_... --check    exit 1 and name what is not current, write nothing
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent


def command(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="only say what is not current")
    return parser


def write_or_check(texts: Mapping[Path, str], check: bool, there: Collection[Path] = ()) -> None:
    """Make the files hold their texts; with `check`, exit where one does not.

    `there`: the files that exist where only generated ones may be. Those without a text shall not exist.
    """
    stale = sorted({path for path, text in texts.items() if _text(path) != text} | set(there) - texts.keys())
    if check:
        if stale:
            names = "\n".join(f"  {os.path.relpath(path)}" for path in stale)
            sys.exit(f"generated files are stale; run `make gen`:\n{names}")
        return
    for path in stale:
        if path in texts:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path], encoding="utf-8")
            print(f"wrote {os.path.relpath(path)}")
        else:
            path.unlink()
            print(f"removed {os.path.relpath(path)}")


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
