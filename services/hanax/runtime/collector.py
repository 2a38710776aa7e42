"""Python's collector of cycles, told that a service has started.

What a service is made of lives as long as it does: hundreds of thousands of objects that every full
collection would walk, some 100 ms in which nobody is answered. What requests make is freed by its counts.
"""

from __future__ import annotations

import gc
from typing import Final

# New objects between collections: a request makes some hundreds, and leaves hardly any behind.
_NEW_OBJECTS: Final = 20_000


def spare_what_is_there() -> None:
    """Of all objects that live now none is looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
