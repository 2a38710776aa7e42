"""The one writer of what is made of protos/: Python stubs of the protobuf contracts, with their types.

    python -m scripts.gen_protos            write them
    python -m scripts.gen_protos --check    exit 1 and name what is stale, write nothing

protos/python has all. sdk/hxp_vector_client/_stubs has those of the gateway's public API once more, as
a package of its own: its modules import each other relatively, and its messages are in a descriptor pool of
their own, so that client and services of different versions may be in one process.

What is generated depends on the pinned versions of grpcio-tools and mypy-protobuf.
"""

from __future__ import annotations

import re
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Final

from grpc_tools import protoc

from scripts.generated import ROOT, command, write_or_check

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


# Folders, and what writes all of each.
OUTPUTS: Final[dict[Path, Callable[[Path], None]]] = {
    SOURCES / "python": generate,
    ROOT / "sdk" / "hxp_vector_client" / "_stubs": generate_for_client,
}


def generated() -> dict[Path, str]:
    """What each generated file shall hold."""
    texts: dict[Path, str] = {}
    for output, write in OUTPUTS.items():
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder)
            write(fresh)
            texts |= {output / path.relative_to(fresh): path.read_text("utf-8") for path in _files(fresh)}
    return texts


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def main() -> None:
    check = command("Generate Python stubs from protos/**/*.proto.").parse_args().check
    write_or_check(generated(), check, {path for output in OUTPUTS for path in _files(output)})


if __name__ == "__main__":
    main()
