"""Which gateway a command asks, and with what key: options, then HANAX_* variables, then the profile."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import SecretStr

import hanax
from hanax.cli.failures import remark
from hanax.cli.printing import Format
from hanax.cli.profiles import Profile, config_path, read_config, read_key_file
from hanax.cli.reading_settings import read_settings
from hanax.core.errors import HanaxError, InvalidArgument
from hanax.core.settings import CommandSettings
from hanax.local.layout import Layout
from hanax.local.state import read_state
from hxp_vector_client import AsyncVectorClient, Batches, CallSettings, Retries, VectorError
from hxp_vector_client import Connection as Gateway

_DEFAULT_URL: Final = "http://127.0.0.1:8000"
# A gateway that is silent for so long is not there; one that is being restarted is back by then.
_PATIENCE_S: Final = 10.0
# Longer than the gateway's own deadline for a batch of texts.
_REQUEST_S: Final = 90.0
# A gateway is up again within seconds; what it asks for itself is added.
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 2.0
# Most points that one request carries: what a command sends at once goes at once.
_BATCH_POINTS: Final = 2_000


def _profile_names(incomplete: str) -> list[str]:
    """For the shell."""
    with suppress(HanaxError):
        profiles = read_config(read_settings(CommandSettings).config).profiles
        return sorted(name for name in profiles if name.startswith(incomplete))
    return []


@dataclass(frozen=True)
class Asking:
    """What every command takes that asks a gateway."""

    api: Annotated[str, typer.Option("--api", help="The gateway [HANAX_API_URL, else the profile's].")] = ""
    profile: Annotated[
        str,
        typer.Option(
            "--profile",
            help="Profile of the configuration file [HANAX_PROFILE].",
            autocompletion=_profile_names,
        ),
    ] = ""
    config: Annotated[
        Path | None, typer.Option("--config", help="The configuration file [HANAX_CONFIG].")
    ] = None
    api_key_file: Annotated[
        Path | None, typer.Option("--api-key-file", help="File with the API key [HANAX_API_KEY_FILE].")
    ] = None

    def connection(self, data_dir: Path | None = None) -> Connection:
        """data_dir: of the local stack, where a command is told. Raises as `connect`."""
        return connect(self, data_dir)


@dataclass(frozen=True)
class Showing(Asking):
    """What commands take beside that show something."""

    form: Annotated[
        Format | None, typer.Option("--format", help="table, json or yaml (else the profile's, else table).")
    ] = None


@dataclass(frozen=True, slots=True)
class Access:
    """Where a gateway is, and how it is asked. ca_file: certificates to trust in place of the usual ones.

    timeout_s: of one request; None: longer than the gateway takes for any.
    """

    url: str
    api_key: SecretStr | None = None
    ca_file: Path | None = None
    timeout_s: float | None = None

    def client(self, patience_s: float = _PATIENCE_S) -> AsyncVectorClient:
        """Over REST. Close it, or use it as a context.

        patience_s: how long a gateway that does not answer, or is busy, is asked again. Raises
        InvalidArgument of the client for an address, a key or certificates that can be none.
        """
        key = None if self.api_key is None else self.api_key.get_secret_value()
        verify = True if self.ca_file is None else str(self.ca_file.expanduser())
        settings = CallSettings(
            timeout_s=(self.timeout_s or _REQUEST_S) + patience_s,
            retries=_tries(patience_s),
            batches=Batches(points=_BATCH_POINTS, parallel=1),
            headers={"User-Agent": f"hana-x-vector/{hanax.__version__}"},
            on_retry=_told_once(patience_s) if sys.stderr.isatty() else None,
        )
        return AsyncVectorClient(Gateway(self.url, key, verify), settings=settings)


def _told_once(patience_s: float) -> Callable[[VectorError, float], None]:
    """Say why nothing happens, to who sits and waits."""
    told = False

    def tell(error: VectorError, _: float) -> None:
        nonlocal told
        if not told:
            remark(f"{error.message}; trying again for up to {patience_s:g} s")
        told = True

    return tell


def _tries(patience_s: float) -> Retries:
    if patience_s <= 0:
        return Retries(attempts=0)
    # Its end is the patience's, and not a number of tries.
    return Retries(sys.maxsize, _FIRST_PAUSE_S, _LONGEST_PAUSE_S, patience_s)


@dataclass(frozen=True, slots=True)
class Connection:
    """origin: who said so: an option, a variable, a profile, the local stack, or nobody."""

    access: Access
    origin: str
    profile: str
    form: Format
    data_dir: Path

    @property
    def url(self) -> str:
        return self.access.url

    def client(self, patience_s: float = _PATIENCE_S) -> AsyncVectorClient:
        """patience_s: how long a gateway that is away or busy is asked again."""
        return self.access.client(patience_s)


def connect(asking: Asking, data_dir: Path | None = None) -> Connection:
    """Raises InvalidArgument, and NotFound for a profile that is not there."""
    settings = read_settings(CommandSettings, data_dir=data_dir)
    path = asking.config or settings.config
    config = read_config(path)
    name, profile = config.choose(asking.profile or settings.profile, str(path or config_path()))
    url, origin = _url(asking, settings, name, profile)
    if not url.startswith(("http://", "https://")):
        raise InvalidArgument(
            f"the gateway's address of {origin} begins with http:// or https://, got {url!r}"
        )
    form = asking.form if isinstance(asking, Showing) else None
    # A key is for the gateway that it was written down with.
    own_key = profile if not profile.url or url == profile.url else Profile()
    return Connection(
        Access(url.rstrip("/"), _key(asking, settings, own_key), profile.ca_file, profile.timeout_s),
        origin,
        name,
        form or profile.format or Format.TABLE,
        settings.data_dir,
    )


def _url(asking: Asking, settings: CommandSettings, name: str, profile: Profile) -> tuple[str, str]:
    """A profile that was named for this command stands before the variable of the shell."""
    if asking.api:
        return asking.api, "--api"
    if asking.profile and profile.url:
        return profile.url, f"profile {name}"
    if settings.api_url:
        return settings.api_url, "HANAX_API_URL"
    if profile.url:
        return profile.url, f"profile {name}"
    state = read_state(Layout.at(settings.data_dir).state_file)
    if state is not None and state.api_url:
        return state.api_url, "the local stack"
    return _DEFAULT_URL, "nobody"


def _key(asking: Asking, settings: CommandSettings, profile: Profile) -> SecretStr | None:
    if asking.api_key_file is not None:
        return read_key_file(asking.api_key_file)
    of_profile = profile.api_key
    if profile.api_key_file is not None:
        of_profile = read_key_file(profile.api_key_file)
    if asking.profile and of_profile is not None:
        return of_profile
    if settings.api_key is not None:
        return settings.api_key
    if settings.api_key_file is not None:
        return read_key_file(settings.api_key_file)
    return of_profile
