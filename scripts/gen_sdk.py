"""The one writer of what is generated in sdk/hxp_vector_client.

    python -m scripts.gen_sdk            write it
    python -m scripts.gen_sdk --check    exit 1 and name what is stale, write nothing

_sync is _async without async: the same modules, with the words of `_WORDS` put in place of others.
A module of `_WRITTEN_TWICE` exists in both by hand, because waiting for several things at once is where they
differ. server_errors has the tree of hanax.core.errors.
"""

from __future__ import annotations

import io
import subprocess
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hanax.core.errors import HanaxError
from scripts.generated import ROOT, command, write_or_check

PACKAGE: Final = ROOT / "sdk" / "hxp_vector_client"

_RUFF: Final = Path(sysconfig.get_path("scripts")) / "ruff"
_WRITTEN_TWICE: Final = frozenset({"__init__.py", "channels.py", "waiting.py"})
_WORDS: Final = {
    "AsyncIterable": "Iterable",
    "AsyncIterator": "Iterator",
    "AsyncGenerator": "Generator",
    "AsyncClient": "Client",
    "AsyncHTTPTransport": "HTTPTransport",
    "AsyncBaseTransport": "BaseTransport",
    "AsyncByteStream": "SyncByteStream",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "StopAsyncIteration": "StopIteration",
    "aclose": "close",
    "aread": "read",
    "aiter_bytes": "iter_bytes",
    "aiter_raw": "iter_raw",
    "anext": "next",
    "handle_async_request": "handle_request",
    "asynccontextmanager": "contextmanager",
    "_async": "_sync",
}
_HEADER: Final = "# Written by scripts/gen_sdk.py from {source}; edit that, and run `make gen`.\n"


def generated() -> dict[Path, str]:
    """What each generated file shall hold."""
    files = {
        PACKAGE / "_sync" / source.name: _HEADER.format(source=f"_async/{source.name}")
        + synchronous(source.read_text(encoding="utf-8"))
        for source in sorted((PACKAGE / "_async").glob("*.py"))
        if source.name not in _WRITTEN_TWICE
    }
    files[PACKAGE / "server_errors.py"] = _HEADER.format(source="hanax.core.errors") + _errors_module()
    return {path: _formatted(text, path) for path, text in files.items()}


def synchronous(source: str) -> str:
    """The module without `async` and `await`, its words exchanged. Comments and texts are left alone, but
    for the class names in docstrings."""
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    written: list[str] = []
    done = 0
    for token in tokens:
        begin = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        replaced = _replaced(token)
        if replaced is None:
            continue
        written.append(source[done:begin])
        written.append(replaced)
        done = end
        if not replaced:
            # The space behind it goes as well.
            while source[done : done + 1] == " ":
                done += 1
    written.append(source[done:])
    return "".join(written)


def _replaced(token: tokenize.TokenInfo) -> str | None:
    """What stands in place of the token; None: the token itself."""
    if token.type == tokenize.STRING and token.string.startswith(('"""', 'r"""')):
        text = token.string.replace("async with ", "with ").replace("async for ", "for ")
        text = text.replace("await ", "").replace("_async", "_sync")
        return text.replace("AsyncVectorClient", "VectorClient").replace("asynchronous", "synchronous")
    if token.type != tokenize.NAME:
        return None
    if token.string in ("async", "await"):
        return ""
    if token.string in _WORDS:
        return _WORDS[token.string]
    if token.string.startswith("Async") and token.string[5:6].isupper():
        return token.string[5:]
    return None


def _errors_module() -> str:
    kinds = list(_tree(HanaxError))
    module = ['"""What the server refuses, by its codes."""\n\nfrom __future__ import annotations\n\n']
    module.append("from typing import Final\n\nfrom hxp_vector_client.error_base import VectorError\n")
    for kind in kinds:
        parent = kind.__base__
        base = "VectorError" if parent is HanaxError or parent is None else parent.__name__
        module.append(f"\n\nclass {kind.__name__}({base}):\n")
        if doc := _own_doc(kind):
            module.append(f'    """{doc}"""\n\n')
        module.append(f'    default_code = "{kind.code}"\n')
    module.append("\n\nBY_CODE: Final[dict[str, type[VectorError]]] = {\n")
    module += [f'    "{kind.code}": {kind.__name__},\n' for kind in kinds]
    module.append("}\n\n__all__ = [\n")
    module += [f'    "{name}",\n' for name in sorted(kind.__name__ for kind in kinds)]
    module.append("]\n")
    return "".join(module)


def _tree(kind: type[HanaxError]) -> Iterator[type[HanaxError]]:
    """The errors under `kind`, each before those under it."""
    for child in kind.__subclasses__():
        # Others may subclass them; only the tree itself is told.
        if child.__module__ == HanaxError.__module__:
            yield child
            yield from _tree(child)


def _own_doc(kind: type[HanaxError]) -> str:
    return str(kind.__dict__.get("__doc__") or "")


def _formatted(text: str, path: Path) -> str:
    fix = ["check", "--fix-only", "--unsafe-fixes", "--quiet", "--select", "F401,I,RUF100,UP028"]
    for arguments in (fix, ["format", "--quiet"]):
        text = subprocess.run(
            [str(_RUFF), *arguments, "--stdin-filename", str(path), "-"],
            cwd=ROOT,
            input=text,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
    return text


def _present() -> set[Path]:
    """Files where only generated ones may be."""
    return {path for path in (PACKAGE / "_sync").glob("*.py") if path.name not in _WRITTEN_TWICE}


def main() -> None:
    check = command("Generate what sdk/hxp_vector_client has of others.").parse_args().check
    write_or_check(generated(), check, _present())


if __name__ == "__main__":
    main()
