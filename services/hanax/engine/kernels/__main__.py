"""`python -m hanax.engine.kernels` compiles every kernel into the cache, so that the first start is warm."""

import importlib
import pkgutil

from hanax.engine import kernels

for module in pkgutil.iter_modules(kernels.__path__):
    if module.name != "__main__":
        importlib.import_module(f"{kernels.__name__}.{module.name}")
