"""Validating webhooks: who is asked about a write, and what a refusal reads like."""

from __future__ import annotations

import base64
import ssl
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp

from tests.operator.emulator.answers import ApiError, failed
from tests.operator.emulator.kinds import Kind
from tests.operator.emulator.objects import Admission
from tests.operator.emulator.store import Store

Webhook = Mapping[str, Any]


class Webhooks:
    """Those that are configured, by URL; the server reaches no Services."""

    def __init__(self, store: Store, configurations: Kind) -> None:
        self._store = store
        self._configurations = configurations

    async def admit(self, asked: Admission) -> None:
        """Raises 403, or what the webhook says, where one of them refuses; 500 where it can't be asked."""
        if asked.kind.key == self._configurations.key:
            return
        for webhook in self._asked(asked):
            await _ask(webhook, asked)

    def _asked(self, asked: Admission) -> Iterable[Webhook]:
        for _, configuration in self._store.all(self._configurations):
            for webhook in configuration.get("webhooks", ()):
                if any(_matches(rule, asked) for rule in webhook.get("rules", ())) and _selects(
                    webhook, asked
                ):
                    yield webhook


def _matches(rule: Mapping[str, Any], asked: Admission) -> bool:
    plural = f"{asked.kind.plural}/{asked.subresource}" if asked.subresource else asked.kind.plural
    return (
        _in(asked.operation, rule["operations"])
        and _in(asked.kind.group, rule["apiGroups"])
        and _in(asked.kind.version, rule["apiVersions"])
        and (
            plural in rule["resources"]
            or "*/*" in rule["resources"]
            or (not asked.subresource and "*" in rule["resources"])
        )
    )


def _in(word: str, words: Iterable[str]) -> bool:
    return "*" in words or word in words


def _selects(webhook: Webhook, asked: Admission) -> bool:
    labels = webhook.get("namespaceSelector", {}).get("matchLabels", {})
    return all(
        name != "kubernetes.io/metadata.name" or value == asked.name[0] for name, value in labels.items()
    )


async def _ask(webhook: Webhook, asked: Admission) -> None:
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": {"group": asked.kind.group, "version": asked.kind.version, "kind": asked.kind.kind},
            "resource": {
                "group": asked.kind.group,
                "version": asked.kind.version,
                "resource": asked.kind.plural,
            },
            "subResource": asked.subresource,
            "name": asked.name[1],
            "namespace": asked.name[0],
            "operation": asked.operation,
            "userInfo": {"username": "emulator"},
            "object": asked.object,
            "oldObject": asked.old,
            "dryRun": False,
        },
    }
    try:
        answer = await _post(webhook, review)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if webhook.get("failurePolicy", "Fail") == "Ignore":
            return
        raise failed(f'failed calling webhook "{webhook["name"]}": {error}') from error
    if not answer["allowed"]:
        status = answer.get("status", {})
        why = status.get("message") or status.get("reason") or "no reason"
        told = f'admission webhook "{webhook["name"]}" denied the request: {why}'
        raise ApiError(status.get("code", 403), status.get("reason", "Forbidden"), told)


async def _post(webhook: Webhook, review: Mapping[str, Any]) -> Mapping[str, Any]:
    client = webhook["clientConfig"]
    trusted = ssl.create_default_context(cadata=base64.b64decode(client["caBundle"]).decode())
    timeout = aiohttp.ClientTimeout(total=webhook.get("timeoutSeconds", 10))
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(client["url"], json=review, ssl=trusted) as answer,
    ):
        answer.raise_for_status()
        found: dict[str, Any] = (await answer.json())["response"]
        return found
