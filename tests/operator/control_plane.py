"""A control plane from binaries: etcd and kube-apiserver, and kube-controller-manager where there is one."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.operator.api import Api, Refused
from tests.operator.kubeconfigs import Access, kubeconfig
from tests.operator.waiting import until

READY_S: Final = 60.0
STOP_S: Final = 20
CONTROLLERS: Final = "kube-controller-manager"
_ACCOUNTS_KEY: Final = "accounts.key"


@asynccontextmanager
async def start_control_plane(binaries: Path, folder: Path) -> AsyncIterator[Access]:
    """Its files lie in `folder`; it listens on loopback alone."""
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f'{token},admin,1,"system:masters"\n')
    key = folder / _ACCOUNTS_KEY
    command = ["openssl", "genrsa", "-out", str(key), "2048"]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    etcd, peer, port = _free_port(), _free_port(), _free_port()
    processes = [
        _run(
            folder,
            [
                str(binaries / "etcd"),
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls=http://127.0.0.1:{etcd}",
                f"--advertise-client-urls=http://127.0.0.1:{etcd}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                "--unsafe-no-fsync=true",
            ],
        ),
        _run(
            folder,
            [
                str(binaries / "kube-apiserver"),
                f"--etcd-servers=http://127.0.0.1:{etcd}",
                "--bind-address=127.0.0.1",
                f"--secure-port={port}",
                f"--cert-dir={folder / 'certificates'}",
                f"--token-auth-file={folder / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-signing-key-file={key}",
                f"--service-account-key-file={key}",
                "--service-cluster-ip-range=10.96.0.0/16",
            ],
        ),
    ]
    try:
        found = await _access(folder / "certificates" / "apiserver.crt", port, token)
        yield found
    finally:
        # The API server ends by telling its store.
        for process in reversed(processes):
            await _stop(process)


@asynccontextmanager
async def start_controllers(binaries: Path, folder: Path, access: Access) -> AsyncIterator[None]:
    """kube-controller-manager, for a control plane in the same folder.

    To be started when custom resources are there: it looks for new kinds every 30 s.
    """
    config = folder / "controllers.kubeconfig"
    config.write_text(kubeconfig(access.url, access.headers["Authorization"].removeprefix("Bearer ")))
    command = [
        str(binaries / CONTROLLERS),
        f"--kubeconfig={config}",
        f"--service-account-private-key-file={folder / _ACCOUNTS_KEY}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={_free_port()}",
        f"--cert-dir={folder / 'controllers'}",
    ]
    process = _run(folder, command)
    try:
        async with Api(access) as api:

            async def at_work() -> bool:
                return await has_controllers(api)

            await until(at_work, "the controllers are at work", READY_S)
        yield
    finally:
        await _stop(process)


async def has_controllers(api: Api) -> bool:
    """Whether kube-controller-manager runs: it gives every namespace a service account."""
    return await api.find("ServiceAccount", "default", "default") is not None


async def _access(certificate: Path, port: int, token: str) -> Access:
    async def made() -> bool:
        return await asyncio.to_thread(certificate.exists)

    await until(made, "the API server has a certificate", READY_S)
    # Its certificate is its own; made for this run, it is all that is trusted.
    trust = ssl.create_default_context(cafile=str(certificate))
    trust.check_hostname = False
    found = Access(f"https://127.0.0.1:{port}", {"Authorization": f"Bearer {token}"}, trust)

    async def ready() -> bool:
        try:
            async with Api(found) as api:
                await api.request("GET", "/readyz")
                return await api.find("Namespace", "default") is not None
        except (OSError, Refused):
            return False

    await until(ready, "the API server is ready", READY_S)
    return found


async def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)


def _run(folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
