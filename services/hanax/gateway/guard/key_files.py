"""API keys in files, as Secrets are mounted: read again when they change.

An administrator's key and that of the platform's own services are the whole content of a file each; others
are listed in one JSON file. A file that has become unreadable or wrong leaves what was read last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import structlog

from hanax.core.api_keys import MAX_KEY_LENGTH, MIN_KEY_LENGTH, key_digest
from hanax.core.errors import FailedPrecondition, HanaxError, InvalidArgument
from hanax.gateway.guard.caller import ANYONE, Caller
from hanax.gateway.guard.rights import KeyFile, ending_of, forced_of, grants_of, rate_of
from hanax.gateway.requests import parse_request

log = structlog.get_logger()

_MAX_FILE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeyPaths:
    """None: there is no such file."""

    admin: Path | None = None
    service: Path | None = None
    keys: Path | None = None

    @property
    def any(self) -> bool:
        return any((self.admin, self.service, self.keys))


@dataclass(frozen=True, slots=True)
class _Entry:
    caller: Caller
    expires_at_us: int | None


_Entries = dict[str, _Entry]


class KeyFiles:
    """Raises FailedPrecondition for a file that is not there or wrong when the gateway starts."""

    def __init__(self, paths: KeyPaths) -> None:
        self._sources: list[_Source] = []
        for path, read in ((paths.admin, _admin), (paths.service, _service), (paths.keys, _listed)):
            if path is not None:
                self._sources.append(_Source(path, read))

    def find(self, digest: str, now_us: int) -> Caller | None:
        """digest: of a key, as hanax.core.api_keys makes it. Nobody can choose one, so that the time of a
        look-up tells nothing.
        """
        for source in self._sources:
            entry = source.entries.get(digest)
            if entry is not None and (entry.expires_at_us is None or now_us < entry.expires_at_us):
                return entry.caller
        return None

    def read_again(self) -> None:
        for source in self._sources:
            source.read_again()


class _Source:
    def __init__(self, path: Path, parse: Callable[[bytes], _Entries]) -> None:
        self._path = path
        self._parse = parse
        self._raw = self._read()
        self.entries = self._entries(self._raw)

    def read_again(self) -> None:
        try:
            raw = self._read()
            if raw != self._raw:
                self.entries, self._raw = self._entries(raw), raw
                log.info("API keys are read again", file=str(self._path))
        except HanaxError as error:
            log.error("API keys are not read again", error=error.message)

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                raw = file.read(_MAX_FILE_BYTES + 1)
        except OSError as error:
            raise FailedPrecondition(f"{self._path}: {error.strerror}") from None
        if len(raw) > _MAX_FILE_BYTES:
            raise FailedPrecondition(f"{self._path}: more than {_MAX_FILE_BYTES} bytes of API keys")
        return raw

    def _entries(self, raw: bytes) -> _Entries:
        try:
            return self._parse(raw)
        except InvalidArgument as error:
            # The message names fields, never a key.
            raise FailedPrecondition(f"{self._path}: {error.message}") from None


def _admin(raw: bytes) -> _Entries:
    return {_only_key(raw): _Entry(Caller("key admin", ANYONE.grants), None)}


def _service(raw: bytes) -> _Entries:
    return {_only_key(raw): _Entry(Caller("key service", ANYONE.grants, is_service=True), None)}


def _only_key(raw: bytes) -> str:
    try:
        key = raw.decode().strip()
    except UnicodeDecodeError:
        raise InvalidArgument("expected an API key as text") from None
    if not MIN_KEY_LENGTH <= len(key) <= MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidArgument(
            f"expected one API key of {MIN_KEY_LENGTH} to {MAX_KEY_LENGTH} printable ASCII characters"
        )
    return key_digest(key)


def _listed(raw: bytes) -> _Entries:
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise InvalidArgument("expected JSON: {keys: [{name, key, grants}]}") from None
    entries: _Entries = {}
    names: set[str] = set()
    for number, one in enumerate(parse_request(KeyFile, told).keys):
        try:
            caller = Caller(f"key file {one.name}", grants_of(one), forced_of(one.filter), rate_of(one))
            ends = ending_of(one.expires_at)
        except InvalidArgument as error:
            raise InvalidArgument(f"keys[{number}].{error.message}") from None
        digest = _only_key(one.key.get_secret_value().encode())
        if digest in entries or one.name in names:
            # What is counted and kept for a caller is so by its name.
            same = "key" if digest in entries else "name"
            raise InvalidArgument(f"keys[{number}].{same}: the same as that of another")
        names.add(one.name)
        entries[digest] = _Entry(caller, ends)
    return entries
