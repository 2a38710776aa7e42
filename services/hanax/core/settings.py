"""Every setting of every process, read from HANAX_* variables (docs/settings.md lists them all)."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

# Of the gateway and of index-shards alike.
_ROUTING_FILE: Final = "the routing table to follow"
_ROUTING_CONFIGMAP: Final = (
    "ConfigMap that holds the routing table, followed in place of the file; empty: the file"
)
_NAMESPACE: Final = "namespace of the ConfigMaps and VectorCollections; empty: the service account's"

# Of the embedder, and of the local stack that starts it.
_BACKEND: Final = (
    "onnx: ONNX Runtime; torch: sentence-transformers; hash: deterministic, carries no meaning; "
    "auto: torch on a GPU, else onnx"
)


class Settings(BaseSettings):
    """What all processes share."""

    model_config = SettingsConfigDict(env_prefix="HANAX_", extra="ignore", frozen=True)

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
    redis_url: str = Field(
        "",
        description="redis://host:port/db, rediss:// for TLS, or unix://path; one server, no Redis Cluster",
    )
    redis_password_file: Path | None = Field(
        None, description="file with the password of the Redis, in place of one in its URL"
    )
    redis_patience_s: float = Field(
        0.01,
        gt=0,
        le=10,
        description="how long a look-up waits for Redis, which is then left alone until it answers as fast "
        "again; a write waits twice as long",
    )
    redis_prefix: str = Field(
        "hanax",
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="begins all keys: another one for each release that shares the Redis",
    )
    model_inflight: int = Field(
        64, ge=1, description="requests to one model at once, times the model's weight"
    )
    model_waiting: int = Field(
        256, ge=0, description="requests that may wait for one model; more are refused as overloaded"
    )
    jobs_max: int = Field(1_000, ge=1, description="jobs that are queued, run, or are kept after their end")
    jobs_bytes: int = Field(
        256 * 1024 * 1024, ge=1_048_576, description="what all of them may hold, orders and results together"
    )
    job_keep_s: float = Field(
        3_600.0, gt=0, description="how long a job and its result are kept after its end"
    )
    job_timeout_s: float = Field(
        3_600.0, gt=0, description="how long a job may run; till then a model that is away is waited for"
    )
    secrets_dir: Path | None = Field(
        None,
        description="folder of the keys of upstream servers: <name>/<key>, as Secrets are mounted; "
        "none: HANAX_SECRET_<NAME>_<KEY>",
    )
    upstream_connections: int = Field(
        64, ge=1, le=4_096, description="HTTP connections of one external model to one server at once"
    )
    upstream_ca_file: Path | None = Field(
        None, description="certificates (PEM) that servers of external models may have beside public ones"
    )


class LocalSettings(Settings):
    data_dir: Path = Field(Path(".hanax"), description="where data is kept")
    shards: int = Field(2, ge=1, le=64, description="index-shard processes of the local stack")
    gateway_host: str = Field("127.0.0.1", description="address the gateway's REST API listens on")
    gateway_port: int = Field(8000, ge=0, le=65535, description="port of the gateway's REST API; 0: any")
    embedder_model: str = Field("all-MiniLM-L6-v2", description="model served, by name or local path")
    embedder_backend: Literal["auto", "onnx", "torch", "hash"] = Field("auto", description=_BACKEND)
    models_file: Path | None = Field(
        None,
        description="ExternalModels as YAML: those that run here are served in place of "
        "HANAX_EMBEDDER_MODEL, changes of the others are taken up",
    )
    ready_timeout_s: float = Field(180.0, gt=0, description="how long `up` waits for the stack to be ready")
