"""A process that asks upstreams with a key, and tells all that it can of how that went.

`python -m tests.integration.gateway.upstreams.asking_process CA_FILE SECRETS_DIR URL...`: logs of all
libraries on standard error, at DEBUG; on standard output what came of each URL, as a user and an operator
would see it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from pathlib import Path

import structlog

from hanax.core.errors import HanaxError
from hanax.core.model_routes import ModelRoute, SecretFile
from hanax.gateway.models.protocols.registry import Protocols, UpstreamOptions
from hanax.gateway.models.secrets import Secrets
from hanax.gateway.models.wanted import Wanted
from hanax.rpc.channels import Channels
from hanax.rpc.errors import status_from_error
from hanax.runtime.logs import configure_logs
from tests.integration.gateway.upstreams.asking import at

log = structlog.get_logger()


async def ask(protocols: Protocols, url: str) -> None:
    model = ModelRoute(
        name="keyed",
        dimension=8,
        max_tokens=64,
        endpoints=(url,),
        protocol="openai",
        secret=SecretFile(name="upstream", key="token"),
    )
    client = protocols.of("openai")
    for request in (client.embed(at(url, 20.0), model, ["text"], Wanted()), client.probe(url, model, 20.0)):
        try:
            print("made", await request)
        except HanaxError as error:
            log.exception("failed", details=error.details)
            print(error.message, error.details, status_from_error(error), repr(error))
            traceback.print_exc()
        print(repr(model), repr(client), vars(client))


async def main(ca_file: str, secrets_dir: str, *urls: str) -> None:
    configure_logs("asking", "DEBUG")
    secrets = Secrets(Path(secrets_dir), os.environ)
    channels = Channels()
    protocols = Protocols(channels, secrets, UpstreamOptions(ca_file=Path(ca_file)))
    for url in urls:
        log.debug("asking", url=url)
        await ask(protocols, url)
    await protocols.close()
    await channels.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
