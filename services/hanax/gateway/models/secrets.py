"""Keys of upstream servers, from files or the environment. Their values are never logged or told.

Key `key` of Secret `name` is the file <folder>/<name>/<key>, as Kubernetes mounts it; a file that changed is
read again. Without the file it is the variable HANAX_SECRET_<NAME>_<KEY>, in capitals, with `_` for all that
is no letter or digit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from hanax.core.errors import Unavailable
from hanax.core.model_routes import SecretFile

# A key goes into one header; servers take 8 KiB of all of them.
_MAX_BYTES: Final = 8_192

_NAME: Final = re.compile(r"(?!\.\.?$)[-._a-zA-Z0-9]{1,253}")
# What a header may hold.
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")


class _Stamp(NamedTuple):
    """Other when the file was replaced or written to."""

    inode: int
    changed_ns: int
    size: int


class Secrets:
    """Of files, the values read last are kept; `retain` says of which."""

    def __init__(self, folder: Path | None, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._read: dict[SecretFile, tuple[_Stamp, str]] = {}

    def value(self, secret: SecretFile) -> str:
        """Raises Unavailable that names the secret: it is not there, or can't be a key."""
        if not (_NAME.fullmatch(secret.name) and _NAME.fullmatch(secret.key)):
            raise _missing(secret, "is no name of a secret and a key in it")
        found = self._from_file(secret)
        if found is None:
            found = self._environment.get(variable(secret), "").strip()
        if not found:
            raise _missing(secret, f"is neither a file in HANAX_SECRETS_DIR nor set as {variable(secret)}")
        if len(found) > _MAX_BYTES or not _PRINTABLE.fullmatch(found):
            raise _missing(secret, f"is no key: expected 1 to {_MAX_BYTES} printable characters on one line")
        return found

    def retain(self, secrets: Collection[SecretFile]) -> None:
        """Forget the values of all others."""
        self._read = {secret: kept for secret, kept in self._read.items() if secret in secrets}

    def _from_file(self, secret: SecretFile) -> str | None:
        if self._folder is None:
            return None
        try:
            with (self._folder / secret.name / secret.key).open("rb") as file:
                status = os.fstat(file.fileno())
                stamp = _Stamp(status.st_ino, status.st_mtime_ns, status.st_size)
                kept = self._read.get(secret)
                if kept is None or kept[0] != stamp:
                    # One byte more than is taken, so that a longer one is seen to be that.
                    value = file.read(_MAX_BYTES + 3).decode("latin-1").strip()
                    kept = self._read[secret] = stamp, value
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _missing(secret, f"can't be read: {error.strerror}") from None
        return kept[1]


def variable(secret: SecretFile) -> str:
    """The environment variable that stands for the secret's file."""
    return "HANAX_SECRET_" + re.sub(r"[^A-Z0-9]", "_", f"{secret.name}_{secret.key}".upper())


def _missing(secret: SecretFile, what: str) -> Unavailable:
    return Unavailable(
        f"secret {secret.name!r}, key {secret.key!r}, {what}",
        secret=secret.name,
        key=secret.key,
        retryable=False,
    )
