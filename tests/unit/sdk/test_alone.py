"""The client needs httpx, numpy and pydantic, and nothing else that is installed here."""

from __future__ import annotations

import subprocess
import sys
import textwrap

# Each line is Python that runs where the libraries of the extras can't be imported.
_ALONE = textwrap.dedent(
    """
    import importlib.abc
    import sys

    ALLOWED = {
        "annotated_types", "anyio", "certifi", "h11", "h2", "hpack", "httpcore", "httpx", "hxp_vector_client",
        "hyperframe", "idna", "numpy", "pydantic", "pydantic_core", "sniffio", "socksio", "typing_extensions",
        "typing_inspection",
    }

    class Refusing(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            top = name.partition(".")[0]
            known = ALLOWED | sys.stdlib_module_names
            if top not in known and not top.startswith("_sysconfigdata"):
                raise ModuleNotFoundError(f"No module named {top!r}", name=top)
            return None

    sys.meta_path.insert(0, Refusing())

    import hxp_vector_client as client
    from hxp_vector_client import frames

    for transport in ("rest", "graphql"):
        with client.VectorClient("http://127.0.0.1:1", transport=transport) as opened:
            try:
                opened.options(retries=0).search("c", [1.0], filter=client.Field("a") > 1)
            except client.errors.ConnectionFailed:
                pass
    needing = [
        lambda: client.VectorClient("127.0.0.1:1", transport="grpc"),
        lambda: client.progress_bar("x").__enter__(),
        lambda: frames.to_pandas([]),
        lambda: frames.to_polars([]),
        lambda: frames.to_arrow([]),
    ]
    for need in needing:
        try:
            need()
        except client.errors.MissingExtra as error:
            assert "pip install 'hxp-vector-client[" in str(error), error
        else:
            raise AssertionError("an extra is there that must not be")
    assert not {"grpc", "orjson", "hanax", "citadel", "pandas", "pyarrow", "rich"} & set(sys.modules)
    """
)


def test_it_works_with_three_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ALONE], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
