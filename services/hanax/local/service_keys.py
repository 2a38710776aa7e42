"""The key of the local stack's own services, where its callers need keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hanax.core.api_keys import new_key, new_key_id

_NAME: Final = "HANAX_SERVICE_KEY_FILE"
# With any of these a gateway asks for keys, also the batch-processor.
_ASKING: Final = ("HANAX_ADMIN_KEY_FILE", "HANAX_KEYS_FILE", "HANAX_JWT_JWKS")


def service_key_variables(given: Mapping[str, str], file: Path) -> dict[str, str]:
    """For gateways and batch-processor. given: the stack's own variables; file: where a key is kept that is
    made here, where nobody has named one.
    """
    if given.get(_NAME) or not any(given.get(name) for name in _ASKING):
        return {}
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(file.name + ".new")
        # What a start that was cut short has left: without it nobody else could have made it readable.
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(new_key(new_key_id()) + "\n")
        draft.replace(file)
    return {_NAME: str(file)}
