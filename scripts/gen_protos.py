"""The one writer of protos/python: Python stubs of the protobuf contracts, with their types.

    python scripts/gen_protos.py            write them
    python scripts/gen_protos.py --check    exit 1 and name what is stale, write nothing

What is generated depends on the pinned versions of grpcio-tools and mypy-protobuf.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import sysconfig
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "protos"
STUBS = SOURCES / "python"

_PLUGINS = Path(sysconfig.get_path("scripts"))


def generate(target: Path) -> None:
    """Write the stubs of every .proto file into the empty folder `target`."""
    protos = sorted(SOURCES.rglob("*.proto"))
    # `quiet`: no list of written files.
    arguments = [
        "protoc",
        f"--proto_path={SOURCES}",
        f"--proto_path={resources.files('grpc_tools') / '_proto'}",
        f"--plugin=protoc-gen-mypy={_PLUGINS / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={_PLUGINS / 'protoc-gen-mypy_grpc'}",
        f"--python_out={target}",
        f"--grpc_python_out={target}",
        f"--mypy_out=quiet:{target}",
        f"--mypy_grpc_out=quiet:{target}",
        *map(str, protos),
    ]
    if protoc.main(arguments) != 0:
        sys.exit("protoc failed; its message is above")
    for folder in {parent for proto in protos for parent in proto.relative_to(SOURCES).parents}:
        if folder != Path():
            (target / folder / "__init__.py").touch()
    (target / "citadel" / "py.typed").touch()


def stale_files(fresh: Path) -> list[Path]:
    """Files that differ between `fresh` and protos/python, or exist in one of them only."""
    return sorted(
        name for name in _files(fresh) | _files(STUBS) if _content(fresh / name) != _content(STUBS / name)
    )


def _files(folder: Path) -> set[Path]:
    return {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate protos/python from protos/**/*.proto.")
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        stale = stale_files(fresh)
        if check:
            if stale:
                names = "\n".join(f"  protos/python/{name}" for name in stale)
                sys.exit(f"generated files are stale; run `make gen`:\n{names}")
            return
        for name in stale:
            if (fresh / name).exists():
                (STUBS / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(fresh / name, STUBS / name)
                print(f"wrote protos/python/{name}")
            else:
                (STUBS / name).unlink()
                print(f"removed protos/python/{name}")


if __name__ == "__main__":
    main()
