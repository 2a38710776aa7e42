"""An identity provider for tests: keys that sign, and their public halves over real HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "vectors"


class Issuer:
    """`asked`: how often its keys were fetched. `broken`: it answers 500 from now on."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, Any]] = {}
        self.asked = 0
        self.broken = False
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                body = issuer.jwks()
                self.send_response(500 if issuer.broken else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        self._handler = Handler

    @contextmanager
    def running(self) -> Iterator[str]:
        """The URL of its keys."""
        with ThreadingHTTPServer(("127.0.0.1", 0), self._handler) as server:
            thread = threading.Thread(target=server.serve_forever, name="issuer")
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}/jwks"
            finally:
                server.shutdown()
                thread.join()

    def add(self, key_id: str, algorithm: str) -> None:
        key: Any
        if algorithm == "RS256":
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        else:
            key = ec.generate_private_key(ec.SECP256R1())
        self.keys[key_id] = (algorithm, key)

    def jwks(self) -> bytes:
        told = []
        for key_id, (algorithm, key) in self.keys.items():
            kind = RSAAlgorithm if algorithm == "RS256" else ECAlgorithm
            public = kind.to_jwk(key.public_key(), as_dict=True)
            told.append({**public, "kid": key_id, "alg": algorithm, "use": "sig"})
        # One that signs nothing, and one that is no secret any more.
        told.append({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "shared"})
        return orjson.dumps({"keys": told})

    def token(self, key_id: str, headers: dict[str, Any] | None = None, **claims: object) -> str:
        """claims: beside those of a good token; None: without it."""
        now = int(time.time())
        all_claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ann",
            "iat": now,
            "exp": now + 600,
            "scope": "openid hanax:read hanax:write",
            "collections": ["docs-*"],
            "org": "acme",
            **claims,
        }
        algorithm, key = self.keys[key_id]
        given = {name: value for name, value in all_claims.items() if value is not None}
        return jwt.encode(given, key, algorithm, headers={"kid": key_id, **(headers or {})})
