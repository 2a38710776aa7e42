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
    embedder_backend: Literal["torch", "hash"] = Field(
        "torch", description="torch: sentence-transformers; hash: deterministic, carries no meaning"
    )
    embedder_threads: int = Field(0, ge=0, le=256, description="threads a batch computes on; 0: one per core")
    embedder_batch_tokens: int = Field(2_048, ge=128, description="tokens in one batch, padding counted")
    embedder_queue_texts: int = Field(
        1_024, ge=1, description="texts that may wait; more are refused as overloaded"
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
        description="requests the gateway works on at once; more are refused as overloaded",
    )


class LocalSettings(Settings):
    data_dir: Path = Field(Path(".hanax"), description="where data is kept")
    shards: int = Field(2, ge=1, le=64, description="index-shard processes of the local stack")
    gateway_host: str = Field("127.0.0.1", description="address the gateway's REST API listens on")
    gateway_port: int = Field(8000, ge=0, le=65535, description="port of the gateway's REST API; 0: any")
    embedder_model: str = Field("all-MiniLM-L6-v2", description="model served, by name or local path")
    embedder_backend: Literal["torch", "hash"] = Field(
        "torch", description="torch: sentence-transformers; hash: deterministic, carries no meaning"
    )
    ready_timeout_s: float = Field(60.0, gt=0, description="how long `up` waits for the stack to be ready")
