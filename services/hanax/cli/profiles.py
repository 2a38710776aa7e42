"""The configuration file of the commands: named gateways, each with its address and key.

profile = "staging"                        # which one is meant when none is named

[profiles.staging]
url = "https://vectors.staging.example.com"
api_key_file = "~/.config/hana-x-vector/staging.key"
ca_file = "/etc/ssl/staging-ca.pem"
timeout_s = 30
format = "json"
"""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from hanax.cli.failures import remark
from hanax.cli.printing import Format
from hanax.core.errors import InvalidArgument, NotFound


class Profile(BaseModel):
    """One gateway. Keys are never shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = ""
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    ca_file: Path | None = None
    timeout_s: float | None = Field(None, gt=0, le=3_600)
    format: Format | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Profile:
        if self.api_key is not None and self.api_key_file is not None:
            raise ValueError("expected api_key or api_key_file, got both")
        return self


class ConfigFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: str = ""
    profiles: dict[str, Profile] = {}

    def choose(self, name: str, told_by: str) -> tuple[str, Profile]:
        """name: empty: the file's own choice, or none. Raises NotFound."""
        wanted = name or self.profile
        if not wanted:
            return "", Profile()
        if wanted not in self.profiles:
            there = ", ".join(sorted(self.profiles)) or "none"
            raise NotFound(f"{told_by} has no profile {wanted!r}; there is: {there}")
        return wanted, self.profiles[wanted]


def config_path() -> Path:
    """Where the file is when nobody says otherwise."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    folder = Path(base) if base.startswith("/") else Path.home() / ".config"
    return folder / "hana-x-vector" / "config.toml"


def read_config(path: Path | None) -> ConfigFile:
    """path: None: the usual one, which need not be there.

    Raises InvalidArgument for a file that is damaged, or named and not there.
    """
    file = (path or config_path()).expanduser()
    try:
        text = file.read_text()
    except FileNotFoundError:
        if path is None:
            return ConfigFile()
        raise InvalidArgument(f"the configuration file {file} is not there") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"the configuration file {file} can't be read: {error}") from None
    try:
        config = ConfigFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(f"{file}: {error}") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidArgument(f"{file}: {place + ': ' if place else ''}{first['msg']}") from None
    if any(profile.api_key for profile in config.profiles.values()) and _others_may_read(file):
        remark(f"note: {file} holds a key, and others may read it: chmod 600 {file}")
    return config


def read_key_file(path: Path) -> SecretStr:
    """The file's first line. Raises InvalidArgument."""
    file = path.expanduser()
    try:
        key = file.read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"the key file {file} can't be read: {error}") from None
    if not key:
        raise InvalidArgument(f"the key file {file} is empty")
    return SecretStr(key)


def _others_may_read(file: Path) -> bool:
    return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
