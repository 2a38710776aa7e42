"""What one release is made of, as its operator was told: read from HANAX_OPERATOR_* variables.

One operator serves one namespace; all that it makes belongs to one release, with one routing table and
one gateway. What is here is the same for every collection and model; docs/settings.md lists it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
# As ObjectName, or empty: there is none.
OptionalName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$")]


class Release(BaseSettings):
    """Images, accounts and names that the builders put into manifests."""

    model_config = SettingsConfigDict(env_prefix="HANAX_OPERATOR_", extra="ignore", frozen=True)

    namespace: ObjectName = Field("default", description="the namespace that is served, and no other")
    # Pods of the pool and their parts carry it in front: a label's length is the limit.
    release_name: ObjectName = Field(
        "hana-x-vector",
        max_length=40,
        description="name of the release, in front of its objects' names",
    )
    shard_image: str = Field(
        "hana-x-vector/server:latest",
        min_length=1,
        description="image of index-shards; a change of it restarts them, one after the other",
    )
    embedder_image: str = Field(
        "hana-x-vector/embedder:latest",
        min_length=1,
        description="image of served models; a change of it restarts them",
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="when images are pulled"
    )
    image_pull_secrets: tuple[ObjectName, ...] = Field(
        (), description="names of the Secrets that images are pulled with, as a JSON list"
    )
    shard_service_account: ObjectName = Field(
        "hana-x-vector-shard", description="account of index-shards; it reads the routing table"
    )
    embedder_service_account: ObjectName = Field(
        "hana-x-vector-embedder", description="account of served models; it may do nothing"
    )
    routing_config_map: ObjectName = Field(
        "hana-x-vector-routing", description="ConfigMap that the routing table is written to"
    )
    aliases_config_map: ObjectName = Field(
        "hana-x-vector-aliases", description="ConfigMap that gateways keep aliases in"
    )
    gateway_port: int = Field(80, ge=1, le=65535, description="port of the gateway's Service")
    pool_stateful_set: OptionalName = Field(
        "", description="StatefulSet of the shard pool, also the name of its Service; empty: no pool"
    )
    default_storage_size: str = Field(
        "10Gi",
        pattern=r"^[1-9][0-9]*(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$",
        description="volume of a replica of a shard whose collection names no size",
    )
    default_storage_class: OptionalName = Field(
        "", description="storage class of volumes whose collection names none; empty: the cluster's default"
    )
    monitoring_labels: dict[str, str] = Field(
        {}, description="labels for the Services of collections and models, as JSON, for monitors to find"
    )
    cluster_domain: str = Field(
        "cluster.local",
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
        description="domain of names in the cluster",
    )
    resync_s: float = Field(
        300.0, ge=1, description="how often every collection and model is looked at, changed or not"
    )
    probe_s: float = Field(
        10.0,
        ge=1,
        description="how often pods are asked for their state and models for their health",
    )
