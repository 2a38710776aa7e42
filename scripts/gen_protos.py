"""The one writer of what is made of protos/: Python stubs of the protobuf contracts, with their types.

    python scripts/gen_protos.py            write them
    python scripts/gen_protos.py --check    exit 1 and name what is stale, write nothing

protos/python has all. sdk/hxp_vector_client/_stubs has those of the gateway's public API once more, as
a package of its own: its modules import each other relatively, and its messages are in a descriptor pool of
their own, so that client and services of different versions may be in one process.

What is generated depends on the pinned versions of grpcio-tools and mypy-protobuf.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "protos"

_PLUGINS = Path(sysconfig.get_path("scripts"))
_PACKAGE: Final = "citadel/vector/v1"

# What the services tell one another is no part of the client's.
_INTERNAL: Final = ("embedder_pb2", "shard_pb2")

_CLIENT_PACKAGE: Final = '''"""Stubs of the gateway's gRPC API, written by scripts/gen_protos.py."""

from google.protobuf.descriptor_pool import DescriptorPool

# Not the default one: that may have these messages as another version of the services knows them.
POOL = DescriptorPool()
'''


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
    for proto in protos:
        if not re.search(r"^service ", proto.read_text(), re.MULTILINE):
            for ending in (".py", ".pyi"):
                stub = proto.relative_to(SOURCES).with_name(f"{proto.stem}_pb2_grpc{ending}")
                (target / stub).unlink(missing_ok=True)
    for folder in {parent for proto in protos for parent in proto.relative_to(SOURCES).parents}:
        if folder != Path():
            (target / folder / "__init__.py").touch()
    (target / "citadel" / "py.typed").touch()


def generate_for_client(target: Path) -> None:
    """Write the client's copy into the empty folder `target`."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        for stub in sorted((Path(folder) / _PACKAGE).glob("*_pb2*.py*")):
            if not stub.name.startswith(_INTERNAL):
                (target / stub.name).write_text(_as_clients(stub.read_text()))
    (target / "__init__.py").write_text(_CLIENT_PACKAGE)


def _as_clients(stub: str) -> str:
    package = _PACKAGE.replace("/", ".")
    stub = stub.replace(f"from {package} import ", "from . import ")
    stub = stub.replace(f"from {package}.", "from .")
    stub = stub.replace(
        "from google.protobuf import descriptor_pool as _descriptor_pool", "from . import POOL as _POOL"
    )
    return stub.replace("_descriptor_pool.Default()", "_POOL")


@dataclass(frozen=True)
class Output:
    """A folder, and what writes all of it."""

    folder: Path
    write: Callable[[Path], None]

    def stale_files(self, fresh: Path) -> list[Path]:
        """Files that differ between `fresh` and the folder, or exist in one of them only."""
        return sorted(
            name
            for name in _files(fresh) | _files(self.folder)
            if _content(fresh / name) != _content(self.folder / name)
        )

    def shown(self, name: Path) -> Path:
        return (self.folder / name).relative_to(ROOT)


OUTPUTS: Final = (
    Output(SOURCES / "python", generate),
    Output(ROOT / "sdk" / "hxp_vector_client" / "_stubs", generate_for_client),
)


def _files(folder: Path) -> set[Path]:
    return {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def check() -> None:
    stale: list[Path] = []
    for output in OUTPUTS:
        with tempfile.TemporaryDirectory() as folder:
            output.write(Path(folder))
            stale += map(output.shown, output.stale_files(Path(folder)))
    if stale:
        names = "\n".join(f"  {name}" for name in stale)
        sys.exit(f"generated files are stale; run `make gen`:\n{names}")


def write() -> None:
    for output in OUTPUTS:
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder)
            output.write(fresh)
            for name in output.stale_files(fresh):
                if (fresh / name).exists():
                    (output.folder / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(fresh / name, output.folder / name)
                    print(f"wrote {output.shown(name)}")
                else:
                    (output.folder / name).unlink()
                    print(f"removed {output.shown(name)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate Python stubs from protos/**/*.proto.")
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    if parser.parse_args().check:
        check()
    else:
        write()


if __name__ == "__main__":
    main()
