"""What the GPUs of this machine are at, read through NVML at every scrape. Without a GPU: nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

try:
    import pynvml  # type: ignore[import-untyped]
except ImportError:  # only the extra `embedder` has it; the hash backend runs without
    pynvml = None

log = structlog.get_logger()

_MILLIWATTS: Final = 1_000.0
_NO_DEVICES: Final = ("", "-1")


class _Gpus(Collector):
    def __init__(self, handles: list[Any]) -> None:
        self._handles = handles

    def collect(self) -> Iterator[GaugeMetricFamily]:
        label = ("gpu",)
        busy = GaugeMetricFamily(
            "vector_db_gpu_utilization_ratio",
            "Share of the last time in which the GPU computed",
            labels=label,
        )
        used = GaugeMetricFamily("vector_db_gpu_memory_used_bytes", "Memory of the GPU in use", labels=label)
        total = GaugeMetricFamily("vector_db_gpu_memory_bytes", "Memory that the GPU has", labels=label)
        power = GaugeMetricFamily("vector_db_gpu_power_watts", "Power that the GPU draws", labels=label)
        for number, handle in enumerate(self._handles):
            # A GPU that fell off its bus answers nothing more; the other metrics go on.
            try:
                rates = pynvml.nvmlDeviceGetUtilizationRates(handle)
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                busy.add_metric([str(number)], rates.gpu / 100)
                used.add_metric([str(number)], memory.used)
                total.add_metric([str(number)], memory.total)
                power.add_metric([str(number)], pynvml.nvmlDeviceGetPowerUsage(handle) / _MILLIWATTS)
            except pynvml.NVMLError as error:
                log.warning("no metrics of a GPU", gpu=number, error=str(error))
        yield from (busy, used, total, power)


def add_gpu_metrics(registry: CollectorRegistry) -> int:
    """Register what the GPUs tell; memory of the first in bytes, 0 without one.

    A process that is to see no GPU (CUDA_VISIBLE_DEVICES) has none.
    """
    if pynvml is None or os.environ.get("CUDA_VISIBLE_DEVICES", "0") in _NO_DEVICES:
        return 0
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        memory_bytes = int(pynvml.nvmlDeviceGetMemoryInfo(handles[0]).total) if handles else 0
    except pynvml.NVMLError:
        # The driver or its library is absent, as on most machines.
        return 0
    registry.register(_Gpus(handles))
    return memory_bytes
