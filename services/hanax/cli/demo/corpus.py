"""The documentation of the installed Python's standard library, as short texts.

Source files are parsed, not imported. What has no source (functions and types written in C)
is taken from the imported module; only modules without side effects are imported. One document
per public name that has a docstring, in the order of ids; the same interpreter always gives
the same corpus.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import importlib.util
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from hanax.core.limits import MAX_ID_BYTES

# All that a search needs of a long docstring stands at its beginning.
MAX_TEXT_CHARS: Final = 400
MAX_SIGNATURE_CHARS: Final = 100

# Windows on a screen, games, tests and tools; other systems' twins of modules listed anyway; and
# what newer Pythons no longer have.
_SKIPPED: Final = frozenset(
    {
        *(
            "antigravity",
            "idlelib",
            "pydoc_data",
            "test",
            "this",
            "tkinter",
            "turtle",
            "turtledemo",
        ),
        *("msilib", "nt", "ntpath", "nturl2path", "posix", "winreg", "winsound"),
        *("distutils", "lib2to3"),
    }
)

# Parsed but never imported: tools that nobody imports, and what wants a terminal.
_NOT_IMPORTED: Final = frozenset({"curses", "ensurepip", "readline", "rlcompleter", "venv"})

# A module that users know under another name.
_KNOWN_AS: Final = {"posixpath": "os.path", "genericpath": "os.path"}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Document:
    """`kind` is module, class, function or method; `found_at` is file:line, or the C module."""

    id: str
    module: str
    name: str
    kind: str
    signature: str
    text: str
    found_at: str


def build_corpus() -> list[Document]:
    """Return the documents by id."""
    documents: dict[str, Document] = {}
    with warnings.catch_warnings():
        # Deprecated modules say so at import, and old sources have odd escapes.
        warnings.simplefilter("ignore")
        for document in _all_documents():
            if len(document.id.encode()) <= MAX_ID_BYTES:
                documents.setdefault(document.id, document)
    return [documents[key] for key in sorted(documents)]


def fingerprint_of(documents: Iterable[Document]) -> str:
    """A digest of everything that is indexed: it differs when any document does."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(repr(document).encode())
    return digest.hexdigest()[:16]


def _all_documents() -> Iterator[Document]:
    """Sources first: of a function written twice, the one with a place to look it up is kept."""
    library = Path(sysconfig.get_path("stdlib"))
    public = {name for name in sys.stdlib_module_names if _is_public(name)} - _SKIPPED
    # The part comes after the whole, which describes them both.
    names = sorted(public, key=lambda name: (name == "genericpath", name))
    for name in names:
        for module, path in _sources(library, name):
            yield from _from_source(module, path, path.relative_to(library).as_posix())
    for name in names:
        if name not in _NOT_IMPORTED and name not in _KNOWN_AS:
            yield from _from_module(name)


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _sources(library: Path, name: str) -> Iterator[tuple[str, Path]]:
    """The module's own file, or a package's public ones, each with its dotted name."""
    single = library / f"{name}.py"
    if single.exists():
        yield _KNOWN_AS.get(name, name), single
    folder = library / name
    if not (folder / "__init__.py").exists():
        return
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(library).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if all(map(_is_public, parts)) and not {"test", "tests"} & set(parts):
            yield ".".join(parts), path


# --- parsed --------------------------------------------------------------------------------


def _from_source(module: str, path: Path, shown: str) -> Iterator[Document]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    if text := ast.get_docstring(tree):
        yield _document(module, "", "module", "", text, f"{shown}:1")
    for node, owner in _definitions(tree.body, ""):
        text = ast.get_docstring(node)
        name = f"{owner}.{node.name}" if owner else node.name
        if text is None or not all(map(_is_public, name.split("."))):
            continue
        found_at = f"{shown}:{node.lineno}"
        if isinstance(node, ast.ClassDef):
            yield _document(module, name, "class", "", text, found_at)
        else:
            kind = "method" if owner else "function"
            yield _document(module, name, kind, _parsed_signature(node, kind), text, found_at)


def _definitions(body: Iterable[ast.stmt], owner: str) -> Iterator[tuple[Definition, str]]:
    """Functions and classes with their owner, in order, also those defined conditionally."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node, owner
            case ast.ClassDef():
                yield node, owner
                yield from _definitions(node.body, f"{owner}.{node.name}" if owner else node.name)
            case ast.If():
                yield from _definitions([*node.body, *node.orelse], owner)
            case ast.Try():
                handled = [statement for handler in node.handlers for statement in handler.body]
                yield from _definitions([*node.body, *handled, *node.orelse], owner)


def _parsed_signature(node: ast.FunctionDef | ast.AsyncFunctionDef, kind: str) -> str:
    arguments = ast.unparse(node.args)
    if kind == "method":
        own, _, others = arguments.partition(", ")
        arguments = others if own in ("self", "cls") else arguments
    return f"({arguments})"


# --- imported ------------------------------------------------------------------------------


def _from_module(name: str) -> Iterator[Document]:
    """Documents of what the module offers and no source shows."""
    if importlib.util.find_spec(name) is None:
        return
    try:
        module = importlib.import_module(name)
    except ImportError:
        return  # not part of every build
    if text := inspect.getdoc(module):  # in sources it may be assigned
        file = f"{name}/__init__.py" if hasattr(module, "__path__") else f"{name}.py"
        place = f"{file}:1" if _has_source(module) else _place_of(name)
        yield _document(name, "", "module", "", text, place)
    for attribute in sorted(_offered(module)):
        thing = getattr(module, attribute, None)
        if module is sys:  # a program may have replaced a hook
            thing = getattr(sys, f"__{attribute}__", thing)
        if inspect.isbuiltin(thing) or _is_shared_method(thing):
            yield from _imported(name, attribute, "function", thing)
        elif inspect.isclass(thing) and _is_own_c_class(name, thing):
            yield from _imported(name, attribute, "class", thing)
            for member in sorted(filter(_is_public, vars(thing))):
                method = getattr(thing, member, None)
                if inspect.isroutine(method):
                    yield from _imported(name, f"{attribute}.{member}", "method", method)


def _offered(module: ModuleType) -> Iterable[str]:
    """Public names; without `__all__` those that are not another public module's."""
    if module is builtins or not hasattr(module, "__all__"):
        own = (module.__name__, f"_{module.__name__}")
        return [
            name
            for name, thing in vars(module).items()
            if _is_public(name) and (not _has_source(module) or getattr(thing, "__module__", None) in own)
        ]
    return filter(_is_public, module.__all__)


def _imported(module: str, name: str, kind: str, thing: object) -> Iterator[Document]:
    text = inspect.getdoc(thing)
    if not text:
        return
    try:
        signature = "" if kind == "class" else str(inspect.signature(thing))  # type: ignore[arg-type]
    except Exception:
        signature = ""  # defaults written in C are evaluated, and fail in any way
    signature = signature.replace("(self, /, ", "(").replace("(self, /)", "()")
    code = getattr(thing, "__code__", None)
    place = _place_of(module)
    if isinstance(code, CodeType):
        place = f"{Path(code.co_filename).name}:{code.co_firstlineno}"
    yield _document(module, name, kind, signature, text, place)


def _is_shared_method(thing: object) -> bool:
    """Such as random.shuffle, a method of a hidden object. A debugger's hook is not the library's."""
    return inspect.ismethod(thing) and thing.__module__.split(".")[0] in sys.stdlib_module_names


def _is_own_c_class(module: str, thing: type) -> bool:
    """A documented class that has no source, and is no other module's: typing.Text is str."""
    if not vars(thing).get("__doc__") or thing.__qualname__ in _classes_in_source(thing.__module__):
        return False
    home = thing.__module__
    return home == module or home.startswith("_") or not hasattr(sys.modules.get(home), thing.__name__)


@cache
def _classes_in_source(module: str) -> frozenset[str]:
    """Names of a module's top-level classes; none where there is no source."""
    source = getattr(sys.modules.get(module), "__file__", None) or ""
    if not source.endswith(".py"):
        return frozenset()
    found = _definitions(ast.parse(Path(source).read_bytes()).body, "")
    return frozenset(node.name for node, owner in found if not owner)


def _has_source(module: ModuleType) -> bool:
    return (getattr(module, "__file__", None) or "").endswith(".py")


def _place_of(module: str) -> str:
    return f"{module} (in C)"


# --- text ----------------------------------------------------------------------------------


def _document(module: str, name: str, kind: str, signature: str, docstring: str, found_at: str) -> Document:
    full = f"{module}.{name}" if name and module != "builtins" else name or module
    if len(signature) > MAX_SIGNATURE_CHARS:
        signature = "(...)"
    text = f"{full}{signature}: {' '.join(docstring.split())}"
    if len(text) > MAX_TEXT_CHARS:
        text = text[: MAX_TEXT_CHARS + 1].rsplit(" ", 1)[0]
    return Document(full, module, name or module, kind, signature, text, found_at)
