"""How an embedding model is reached: the models' part of the routing table."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field

from hanax.core.index_specs import Spec

# Texts of one real-time request to a hybrid model, unless it is urgent.
HYBRID_TEXTS: Final = 50

ModelProtocol = Literal["grpc", "openai", "tei", "cohere", "ollama"]
ModelPattern = Literal["real_time", "bulk_only", "hybrid"]
Balancing = Literal["round_robin", "least_connections", "weighted", "health_based"]


class ModelEndpoint(Spec):
    """address: host:port of an embedder where the protocol is grpc, a base URL otherwise.

    weight: what it counts beside the model's other endpoints, with balancing by weight.
    """

    address: str = Field(min_length=1)
    weight: float = Field(1.0, ge=0.1, le=10)


class Prompts(Spec):
    """What is put before a text that is searched for, and before one that is stored."""

    query: str = ""
    document: str = ""


class Breaker(Spec):
    """An endpoint that failed `failures` times in a row is left alone for `open_s` seconds."""

    failures: int = Field(5, ge=1)
    open_s: float = Field(30.0, gt=0)


class RequestRate(Spec):
    """Requests that each gateway may send: a token bucket of `burst`, filled `per_s` a second."""

    per_s: float = Field(gt=0)
    burst: int = Field(ge=1)


class SecretFile(Spec):
    """Key `key` of Secret `name`: on a gateway the file <HANAX_SECRETS_DIR>/<name>/<key>."""

    name: str
    key: str


def _endpoint(value: Any) -> Any:
    # As tables of earlier versions have them.
    return {"address": value} if isinstance(value, str) else value


class ModelRoute(Spec):
    """An embedding model and who serves it.

    version: changes when the model's vectors may; part of what is kept with each of them. Of a model that an
    embedder serves it is made of what is declared, until the embedder tells its own with its answers.
    upstream_model: what it is called there; empty: `name`.
    timeout_s, max_attempts: of one request; None: what the caller's deadline leaves.
    weight: its share beside other models, 1 is even.
    max_batch_texts: texts of one request to an endpoint; None: what the protocol's servers take.
    external: somebody else runs it: nothing here waits for it to be well.
    """

    # What messages call it.
    title: ClassVar[str] = "embedding model"

    name: str
    dimension: int = Field(ge=1)
    max_tokens: int = Field(ge=1)
    endpoints: tuple[Annotated[ModelEndpoint, BeforeValidator(_endpoint)], ...] = Field(min_length=1)
    version: str = ""
    upstream_model: str = ""
    protocol: ModelProtocol = "grpc"
    pattern: ModelPattern = "real_time"
    timeout_s: float | None = Field(None, gt=0)
    max_attempts: int | None = Field(None, ge=1)
    weight: float = Field(1.0, ge=0.1, le=10)
    load_balancing: Balancing = "round_robin"
    breaker: Breaker = Breaker()
    rate: RequestRate | None = None
    prompts: Prompts = Prompts()
    headers: tuple[tuple[str, str], ...] = ()
    secret: SecretFile | None = None
    health_path: str = "/health"
    max_batch_texts: int | None = Field(None, ge=1)
    hedge_after_s: float | None = Field(None, gt=0)
    external: bool = False

    def of_version(self, version: str) -> ModelRoute:
        """The same model, whose vectors are of that version."""
        return self if version == self.version else self.model_copy(update={"version": version})

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(endpoint.address for endpoint in self.endpoints)
