"""Every setting of every process, read from HANAX_* variables (docs/settings.md lists them all)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

# Of the gateway and of index-shards alike.
_ROUTING_FILE: Final = "the routing table to follow"
_ROUTING_CONFIGMAP: Final = (
    "ConfigMap that holds the routing table, followed in place of the file; empty: the file"
)
_NAMESPACE: Final = "namespace of the ConfigMaps and VectorCollections; empty: the service account's"

# Of the embedder, and of the local stack that starts it.
_RERANK_MODEL: Final = (
    "cross-encoder served beside the others, by name or local path, under which it is called by its own name "
    "or that of its folder; empty: none"
)
_BACKEND: Final = (
    "onnx: ONNX Runtime; torch: sentence-transformers; hash: deterministic, carries no meaning; "
    "auto: torch on a GPU, else onnx"
)

# Of the gateway, and of the batch-processor beside it.
_DATABASE_URL: Final = (
    "metadata database: postgresql://user@host:port/name, as libpq reads it, or sqlite:///path; empty: none, "
    "and no libraries, jobs, operation log, and API keys but those of files; on one machine metadata.db in "
    "HANAX_DATA_DIR"
)
_DATABASE_PASSWORD_FILE: Final = "file with its password, in place of one in the URL; read at every connect"
_DATABASE_POOL_SIZE: Final = "connections to it at once"
_REDIS_URL: Final = "redis://host:port/db, rediss:// for TLS, or unix://path; one server, no Redis Cluster"
_REDIS_PASSWORD_FILE: Final = "file with the password of the Redis, in place of one in its URL"
_REDIS_PREFIX: Final = "begins all keys: another one for each release that shares the Redis"
_REDIS_PREFIX_FORM: Final = r"^[A-Za-z0-9_.-]{1,64}$"
# On one machine jobs need it.
_GRPC_PORT: Final = "port of the gateway's gRPC API; 0: any; off (not on one machine): it has none"
_JOBS_DIR: Final = (
    "folder of jobs' uploads and results, the same for gateways and batch-processors; none: in the metadata "
    "database"
)
# Shown by the batch-processor, known to the gateway.
_SERVICE_KEY_FILE: Final = (
    "file with the API key of the platform's own services, the same for gateways and batch-processors"
)
_JOB_KEEP_S: Final = "how long a job, its upload and its result are kept after its end"
_DATABASE_TIMEOUT_S: Final = "how long a transaction may take, retries and the wait for a connection included"


class Settings(BaseSettings):
    """What all processes share."""

    # Empty is not set: an empty path would be the current folder.
    model_config = SettingsConfigDict(env_prefix="HANAX_", env_ignore_empty=True, extra="ignore", frozen=True)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least severe log line that is written"
    )
    parent_pid: int | None = Field(
        None, description="end when this process is no longer the parent; set by the orchestrator"
    )
    drain_grace_s: float = Field(10.0, ge=0, description="time that running requests get to end at a stop")


class ShardSettings(Settings):
    node_name: str = Field(
        "shard-0",
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$",
        description="this index-shard's name in the routing table",
    )
    shard_host: str = Field("127.0.0.1", description="address the shard's gRPC server listens on")
    shard_port: int = Field(9101, ge=0, le=65535, description="port of the shard's gRPC server; 0: any")
    shard_metrics_port: int = Field(
        9201, ge=0, le=65535, description="port of the shard's /metrics, /health, /ready and /state; 0: any"
    )
    shard_wires_port: int = Field(
        9111,
        ge=0,
        le=65535,
        description="port on which gateways ask reads at less cost than over gRPC; 0: any",
    )
    shard_threads: int = Field(8, ge=1, le=256, description="requests a shard works on at once")
    routing_file: Path = Field(Path(".hanax/routing.json"), description=_ROUTING_FILE)
    routing_configmap: str = Field("", description=_ROUTING_CONFIGMAP)
    namespace: str = Field("", description=_NAMESPACE)
    data_dir: Path = Field(Path(".hanax"), description="where data is kept")
    segment_max_rows: int = Field(65_536, ge=16, description="rows at which a growing segment is sealed")
    segment_max_bytes: int = Field(
        64 * 1024 * 1024, ge=65_536, description="vector and metadata bytes at which it is sealed"
    )
    log_max_bytes: int = Field(
        256 * 1024 * 1024,
        ge=65_536,
        description="log kept since the last manifest, at which one is written: bounds the replay",
    )
    index_memory_bytes: int = Field(
        0,
        ge=0,
        description="memory for all builds of indexes together; 0: a quarter of what the process may use",
    )
    index_build_threads: int = Field(
        0, ge=0, le=256, description="threads that one build of an index computes on; 0: one per core"
    )


class EmbedderSettings(Settings):
    embedder_host: str = Field("127.0.0.1", description="address the embedder's gRPC server listens on")
    embedder_port: int = Field(9301, ge=0, le=65535, description="port of its gRPC server; 0: any")
    embedder_metrics_port: int = Field(
        9401,
        ge=0,
        le=65535,
        description="port of the embedder's /metrics, /health and /ready; 0: any",
    )
    embedder_model: str = Field("all-MiniLM-L6-v2", description="model served, by name or local path")
    embedder_name: str = Field("", description="name it is served under; empty: the model's own")
    embedder_backend: Literal["auto", "onnx", "torch", "hash"] = Field("auto", description=_BACKEND)
    embedder_precision: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        "auto",
        description="precision of the onnx backend. auto: bfloat16 on processors with AMX where its vectors "
        "are those of float32 to a cosine of 0.9999, else float32; int8 is a little different",
    )
    model_cache_dir: Path | None = Field(
        None, description="where exported models are kept; none: the user's cache folder"
    )
    embedder_threads: int = Field(0, ge=0, le=256, description="threads a batch computes on; 0: one per core")
    embedder_models: str = Field(
        "",
        description="models served, in place of the one: name=path;backend;precision;lazy, separated by "
        'commas, or a JSON list of {"name", "path", "backend", "precision", "lazy"}',
    )
    embedder_rerank_model: str = Field("", description=_RERANK_MODEL)
    embedder_memory_bytes: int = Field(
        0,
        ge=0,
        description="memory for loaded models; the least recently used goes. 0: three quarters of what the "
        "process may use, of the GPU's where there is one",
    )
    embedder_batch_tokens: int = Field(
        0, ge=0, description="tokens in one batch, padding counted; 0: what suits the backend"
    )
    embedder_queue_texts: int = Field(
        1_024, ge=1, description="texts of a model that may wait; more are refused as overloaded"
    )


class GatewaySettings(Settings):
    gateway_host: str = Field("127.0.0.1", description="address the gateway's REST API listens on")
    gateway_port: int = Field(8000, ge=0, le=65535, description="port of the gateway's REST API; 0: any")
    gateway_grpc_port: Annotated[int, Field(ge=0, le=65535)] | Literal["off"] = Field(
        8081, description=_GRPC_PORT
    )
    gateway_worker_ports: tuple[int, ...] = Field(
        (),
        description="JSON list of ports on loopback, at each of which one of the gateways that share ports "
        "is reached alone, this one at the first; set by the orchestrator",
    )
    routing_file: Path = Field(Path(".hanax/routing.json"), description=_ROUTING_FILE)
    routing_configmap: str = Field("", description=_ROUTING_CONFIGMAP)
    namespace: str = Field("", description=_NAMESPACE)
    catalog: Literal["folder", "cluster"] = Field(
        "folder",
        description="where collections are declared. folder: HANAX_CATALOG_DIR; cluster: VectorCollections",
    )
    catalog_dir: Path = Field(Path(".hanax/catalog"), description="folder of declared collections")
    aliases_configmap: str = Field(
        "", description="ConfigMap that holds the aliases of a catalog in the cluster; it has to be there"
    )
    request_timeout_s: float = Field(10.0, gt=0, le=600, description="a request's deadline, retries included")
    embed_timeout_s: float = Field(60.0, gt=0, le=600, description="deadline of a request that embeds texts")
    create_timeout_s: float = Field(
        15.0, gt=0, le=600, description="how long creating a collection waits for its shards"
    )
    admin_key_file: Path | None = Field(
        None, description="file with one API key that may do everything; with it, callers need keys"
    )
    service_key_file: Path | None = Field(None, description=_SERVICE_KEY_FILE)
    keys_file: Path | None = Field(
        None, description="JSON file of API keys beside those of the metadata database (docs/security.md)"
    )
    insecure: bool = Field(
        False,
        description="whether a gateway without API keys may listen where others can connect: everybody may "
        "do everything then",
    )
    open_metrics: bool = Field(
        False, description="whether /metrics, which names collections, is told to callers without a key"
    )
    audit_log: bool = Field(
        True, description="whether changes and refusals are logged, where callers need keys"
    )
    cors_origins: str = Field(
        "", description="origins whose pages may call from a browser, separated by commas; *: all"
    )
    rate_per_s: float = Field(
        0.0,
        ge=0,
        description="requests a second of one caller whose key has no limit of its own; 0: no limit",
    )
    rate_burst: int = Field(0, ge=0, description="requests that may come at once; 0: those of two seconds")
    jwt_jwks: str = Field(
        "", description="URL or path of the JWKS with which JSON Web Tokens are signed; empty: none are taken"
    )
    jwt_issuer: str = Field("", description="iss that a token must have")
    jwt_audience: str = Field("", description="aud that a token must have")
    jwt_algorithms: str = Field("RS256,ES256,EdDSA", description="alg that a token may have; none symmetric")
    jwt_leeway_s: float = Field(30.0, ge=0, le=600, description="how far the issuer's clock may be off")
    jwt_scopes_claim: str = Field("scope", description="claim with the scopes: words in a text, or a list")
    jwt_scopes_prefix: str = Field("", description="what stands before read, write and admin there")
    jwt_collections_claim: str = Field(
        "", description="claim with names and beginnings of names of collections; empty: all of them"
    )
    jwt_tenant_claim: str = Field(
        "", description="claim that every token must have, and every point of its owner; empty: none"
    )
    jwt_tenant_field: str = Field("tenant", description="field of points' metadata with its value")
    max_inflight: int = Field(
        256,
        ge=1,
        description="requests the gateway works on at once; more are refused as overloaded. Up to eight "
        "times as many may wait for models besides",
    )
    cache: Literal["auto", "memory", "redis", "off"] = Field(
        "auto", description="where answers and vectors of texts are kept; auto: Redis where a URL is set"
    )
    cache_bytes: int = Field(
        64 * 1024 * 1024, ge=65_536, description="what the cache in the gateway's memory may hold"
    )
    cache_searches: bool = Field(
        True,
        description="whether answers of searches and counts are kept. In memory that is right for one "
        "gateway alone: it hears of no write that another one takes",
    )
    cache_embeddings_ttl_s: float = Field(3_600.0, gt=0, description="how long vectors of texts are kept")
    cache_searches_ttl_s: float = Field(300.0, gt=0, description="how long answers of searches are kept")
    cache_metadata_ttl_s: float = Field(
        1_800.0, gt=0, description="how long counts and values of fields are kept"
    )
    idempotency_keep_s: float = Field(
        3_600.0,
        ge=1,
        le=604_800,
        description="how long the answer to a request with an Idempotency-Key is kept: in the cache's Redis, "
        "or in the memory of the gateway that gave it",
    )
    redis_url: str = Field("", description=_REDIS_URL)
    redis_password_file: Path | None = Field(None, description=_REDIS_PASSWORD_FILE)
    redis_patience_s: float = Field(
        0.01,
        gt=0,
        le=10,
        description="how long a look-up waits for Redis, which is then left alone until it answers as fast "
        "again; a write waits twice as long",
    )
    redis_prefix: str = Field("hanax", pattern=_REDIS_PREFIX_FORM, description=_REDIS_PREFIX)
    database_url: str = Field("", description=_DATABASE_URL)
    database_password_file: Path | None = Field(None, description=_DATABASE_PASSWORD_FILE)
    database_pool_size: int = Field(10, ge=1, le=200, description=_DATABASE_POOL_SIZE)
    database_timeout_s: float = Field(5.0, ge=0.1, le=300, description=_DATABASE_TIMEOUT_S)
    operation_log_keep_s: float = Field(
        604_800.0,
        ge=0,
        description="how long the metadata database keeps what was asked of vectors; 0: it is not noted",
    )
    operation_log_lines: int = Field(
        1_000_000, ge=1, description="lines of it that are kept at most, of all gateways; the oldest go first"
    )
    operation_log_queue: int = Field(
        10_000, ge=1, description="operations that may wait to be noted; more are dropped, and counted"
    )
    model_inflight: int = Field(
        64, ge=1, description="requests to one model at once, times the model's weight"
    )
    model_waiting: int = Field(
        256, ge=0, description="requests that may wait for one model; more are refused as overloaded"
    )
    jobs_dir: Path | None = Field(None, description=_JOBS_DIR)
    job_upload_bytes: int = Field(1024**3, ge=1_048_576, description="size of one file that a job is given")
    secrets_dir: Path | None = Field(
        None,
        description="folder of the keys of upstream servers: <name>/<key>, as Secrets are mounted; "
        "none: HANAX_SECRET_<NAME>_<KEY>",
    )
    rerank_models: str = Field(
        "",
        description='cross-encoders: a JSON list of {"name", "urls", "protocol": embedder, tei or cohere, '
        '"model", "secret": {"name", "key"}, "headers", "timeout_s", "max_texts"}',
    )
    upstream_connections: int = Field(
        64, ge=1, le=4_096, description="HTTP connections of one external model to one server at once"
    )
    graphql_max_cost: int = Field(
        20_000,
        ge=1,
        description="what a GraphQL document may cost: one for every value that may be answered, and more "
        "for what is asked of shards and models",
    )
    graphql_max_depth: int = Field(12, ge=1, le=50, description="fields in fields of a GraphQL document")
    graphql_introspection: bool = Field(
        True, description="whether GraphQL tells its schema; without it there is no /graphiql either"
    )
    upstream_ca_file: Path | None = Field(
        None, description="certificates (PEM) that servers of external models may have beside public ones"
    )


class BatchSettings(Settings):
    batch_metrics_host: str = Field(
        "127.0.0.1", description="address of the batch-processor's /metrics, /health and /ready"
    )
    batch_metrics_port: int = Field(9501, ge=0, le=65535, description="port of them; 0: any")
    gateway_address: str = Field(
        "127.0.0.1:8081", description="gRPC address of the gateway, through which jobs embed and store"
    )
    service_key_file: Path | None = Field(None, description=_SERVICE_KEY_FILE)
    batch_jobs: int = Field(3, ge=1, le=1_000, description="jobs at once, over all batch-processors")
    batch_tasks: int = Field(4, ge=1, le=256, description="parts of jobs at once in one batch-processor")
    batch_inflight: int = Field(
        4, ge=1, le=256, description="batches of one job on their way at once; refusals halve it for a while"
    )
    batch_call_timeout_s: float = Field(
        120.0, gt=0, le=600, description="deadline of one call to the gateway, for one batch"
    )
    batch_patience_s: float = Field(
        3_600.0, gt=0, description="how long a batch waits for what is away or overloaded; then its job fails"
    )
    batch_lease_s: float = Field(
        30.0,
        ge=2,
        le=3_600,
        description="after this long the work of a batch-processor that died is taken over",
    )
    jobs_dir: Path | None = Field(None, description=_JOBS_DIR)
    job_keep_s: float = Field(604_800.0, gt=0, description=_JOB_KEEP_S)
    database_url: str = Field("", description=_DATABASE_URL)
    database_password_file: Path | None = Field(None, description=_DATABASE_PASSWORD_FILE)
    database_pool_size: int = Field(10, ge=1, le=200, description=_DATABASE_POOL_SIZE)
    database_timeout_s: float = Field(5.0, ge=0.1, le=300, description=_DATABASE_TIMEOUT_S)
    redis_url: str = Field("", description=_REDIS_URL)
    redis_password_file: Path | None = Field(None, description=_REDIS_PASSWORD_FILE)
    redis_prefix: str = Field("hanax", pattern=_REDIS_PREFIX_FORM, description=_REDIS_PREFIX)


class LocalSettings(Settings):
    data_dir: Path = Field(Path(".hanax"), description="where data is kept")
    shards: int = Field(2, ge=1, le=64, description="index-shard processes of the local stack")
    gateway_host: str = Field("127.0.0.1", description="address the gateway's REST API listens on")
    gateway_port: int = Field(8000, ge=0, le=65535, description="port of the gateway's REST API; 0: any")
    gateway_grpc_port: int = Field(8081, ge=0, le=65535, description=_GRPC_PORT)
    gateway_workers: int = Field(
        1,
        ge=1,
        le=64,
        description="gateways of the local stack, which share its ports; each uses one core. With more than "
        "one, answers of searches are kept in Redis or not at all",
    )
    database_url: str = Field("", description=_DATABASE_URL)
    embedder_model: str = Field("all-MiniLM-L6-v2", description="model served, by name or local path")
    embedder_backend: Literal["auto", "onnx", "torch", "hash"] = Field("auto", description=_BACKEND)
    embedder_rerank_model: str = Field("", description=_RERANK_MODEL)
    models_file: Path | None = Field(
        None,
        description="ExternalModels as YAML: those that run here are served in place of "
        "HANAX_EMBEDDER_MODEL, changes of the others are taken up",
    )
    ready_timeout_s: float = Field(180.0, gt=0, description="how long `up` waits for the stack to be ready")


class CommandSettings(Settings):
    """Of the commands that ask a gateway. A profile's values stand behind them, options before them."""

    data_dir: Path = Field(Path(".hanax"), description="where data is kept")
    database_url: str = Field("", description=_DATABASE_URL)
    database_password_file: Path | None = Field(None, description=_DATABASE_PASSWORD_FILE)
    api_url: str = Field(
        "",
        description="gateway that commands talk to; empty: the profile's, else the local stack's, else "
        "http://127.0.0.1:8000",
    )
    api_key: SecretStr | None = Field(None, description="key that commands show the gateway")
    api_key_file: Path | None = Field(
        None, description="file that holds that key, in place of the key itself"
    )
    profile: str = Field("", description="profile of the configuration file that commands go by")
    config: Path | None = Field(
        None,
        description="configuration file of the commands; empty: hana-x-vector/config.toml in "
        "XDG_CONFIG_HOME, else in ~/.config",
    )
