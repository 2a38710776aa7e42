"""Settings of the operator's process. What it builds for its release is told in `release`."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class OperatorSettings(BaseSettings):
    # Empty is not set: an empty path would be the current folder.
    model_config = SettingsConfigDict(
        env_prefix="HANAX_OPERATOR_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least severe log line that the operator writes"
    )
    host: str = Field("127.0.0.1", description="address the operator's servers listen on")
    metrics_port: int = Field(
        9601, ge=0, le=65535, description="port of the operator's /metrics, /health and /ready; 0: any"
    )
    webhook_port: int = Field(9443, ge=0, le=65535, description="port of the validating webhook; 0: any")
    webhook_cert_dir: Path | None = Field(
        None, description="folder with tls.crt and tls.key of the webhook; empty: no webhook"
    )
    identity: str = Field(
        default_factory=socket.gethostname,
        description="name of this replica among those that want to lead; empty: the host's name",
    )
    lease_name: str = Field("hanax-operator", description="Lease that the leading replica holds")
    lease_s: float = Field(
        15.0, ge=1, le=300, description="time after which a leader that is silent is replaced"
    )
    workers: int = Field(8, ge=1, le=64, description="collections and models reconciled at once")
