"""How a client behaves: times, tries, batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from hxp_vector_client.errors import InvalidArgument, VectorError

TransportName = Literal["rest", "grpc", "graphql"]


@dataclass(frozen=True, slots=True)
class Retries:
    """Tries after the first, with full jitter: before try n a pause of up to base_s * 2^(n - 1), at most
    longest_s, and at least what the server asks for. None is begun that could not end within the call's
    timeout, nor later than within_s after the call's begin."""

    attempts: int = 4
    base_s: float = 0.1
    longest_s: float = 5.0
    within_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Batches:
    """How much one request of a write carries, and how many are under way at once.

    points, bytes: at most; the transport's own limits hold beside them. None: what it takes.
    """

    points: int = 1_000
    bytes: int | None = None
    parallel: int = 4


@dataclass(frozen=True, slots=True)
class CallSettings:
    """timeout_s: of one call with all its tries; of a call that writes in batches, of each batch.

    headers: beside those of the client, as `X-Request-ID`; over gRPC they are metadata.
    on_retry: called before each further try with why, and the pause until it in seconds.
    """

    timeout_s: float = 30.0
    retries: Retries = field(default_factory=Retries)
    batches: Batches = field(default_factory=Batches)
    headers: Mapping[str, str] = field(default_factory=dict)
    on_retry: Callable[[VectorError, float], None] | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the server is, and who asks.

    url: `http://host:8000`; over gRPC `grpc://host:8081` or `host:8081`, and `grpcs://` with TLS.
    verify: False, or a file of certificates to trust in place of the system's.
    connections: kept open at most.
    """

    url: str
    api_key: str | None = None
    verify: bool | str = True
    connections: int = 100

    def authorization(self) -> str | None:
        """As a header says it. Raises InvalidArgument, without the key in it, for what no header can hold:
        a line break that was read with the key, for instance."""
        key = self.api_key
        if key is None:
            return None
        if not key.isascii() or not key.isprintable() or " " in key:
            raise InvalidArgument("api_key: it has characters that no key has")
        return f"Bearer {key}"
