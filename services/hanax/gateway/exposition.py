"""What is scraped: this gateway's metrics, and those of the gateways that share its port.

A scrape reaches any of them. So whoever is asked asks the others at their own ports, and every series gets a
label `worker`, the port that it is from; one that does not answer is told by `vector_db_gateway_worker_up`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import httpx
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

# Of one gateway, whoever else shares its port.
OWN_PATH: Final = "/metrics/worker"

_TIMEOUT_S: Final = 1.0
_LABEL: Final = "worker"


class Exposition:
    def __init__(self, registry: CollectorRegistry, worker_ports: Sequence[int]) -> None:
        """worker_ports: on loopback, of all gateways that share a port, this one's first; none: alone."""
        self._registry = registry
        self._worker_ports = worker_ports

    @property
    def own_port(self) -> int | None:
        """Where the others ask this one; None: alone."""
        return self._worker_ports[0] if self._worker_ports else None

    def own(self) -> bytes:
        """Prometheus text."""
        return generate_latest(self._registry)

    async def all(self) -> bytes:
        """Prometheus text; of gateways that share a port, of each that answers."""
        if not self._worker_ports:
            return self.own()
        _, *others = self._worker_ports
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False, verify=False) as client:
            told = await asyncio.gather(*(_ask(client, port) for port in others))
        by_port = dict(zip(self._worker_ports, [self.own().decode(), *told], strict=True))
        registry = CollectorRegistry()
        registry.register(_Merged({str(port): text for port, text in sorted(by_port.items())}))
        return generate_latest(registry)


async def _ask(client: httpx.AsyncClient, port: int) -> str | None:
    """None: it did not answer."""
    try:
        answer = await client.get(f"http://127.0.0.1:{port}{OWN_PATH}")
    except httpx.HTTPError:
        return None
    return answer.text if answer.is_success else None


class _Merged(Collector):
    """texts: by worker; None: of one that did not answer."""

    def __init__(self, texts: Mapping[str, str | None]) -> None:
        self._texts = texts

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are checked where they are first registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "vector_db_gateway_worker_up",
            "1: the gateway at this port answered the scrape",
            labels=(_LABEL,),
        )
        families: dict[str, Metric] = {}
        for worker, text in self._texts.items():
            up.add_metric((worker,), 0 if text is None else 1)
            for family in text_string_to_metric_families(text or ""):
                merged = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                merged.samples += [_labelled(sample, worker) for sample in family.samples]
        return [*families.values(), up]


def _labelled(sample: Sample, worker: str) -> Sample:
    return sample._replace(labels={**sample.labels, _LABEL: worker})
