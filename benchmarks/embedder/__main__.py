"""`make bench-embedder`. See docs/benchmarks.md."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.embedder import peer, served
from benchmarks.embedder.texts import mixed_texts
from hanax.embedder.backends.model_files import find_model

MODEL: Final = "all-MiniLM-L6-v2"
OURS: Final = {
    # What users get: bfloat16 products where the processor has AMX, else float32.
    "onnx auto": {"EMBEDDER_BACKEND": "onnx", "EMBEDDER_PRECISION": "auto"},
    "onnx float32": {"EMBEDDER_BACKEND": "onnx", "EMBEDDER_PRECISION": "float32"},
    "onnx int8": {"EMBEDDER_BACKEND": "onnx", "EMBEDDER_PRECISION": "int8"},
}
# Requests on their way at once, and texts in each: jobs send many texts, people one.
LOADS: Final = ((1, 1), (8, 1), (64, 1), (64, 16))
HEADLINE_LOAD: Final = (64, 16)

Vectors = NDArray[np.float32]


@dataclass
class Measured:
    """Of one contestant: texts a second of each round by load, and seconds of single texts."""

    rates: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    singles_s: list[float] = field(default_factory=list)
    vectors: dict[tuple[int, int], Vectors] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few texts, one round: does all of it run?")
    parser.add_argument("--only", nargs="+", choices=list(OURS), default=list(OURS))
    options = parser.parse_args()
    count, rounds, singles = (256, 1, 20) if options.quick else (1_024, 3, 60)
    texts = mixed_texts(count)
    begun = time.monotonic()
    hardware = report.hardware()
    with ExitStack() as stack:
        encoder = stack.enter_context(peer.loaded(find_model(MODEL).source))
        ours = [stack.enter_context(served.started(name, MODEL, OURS[name])) for name in options.only]
        batch_size = _best_batch_size(encoder, texts)
        for embedder in ours:
            # As `encode` by now, each has met texts of all lengths.
            embedder.embed(texts, *HEADLINE_LOAD)
        encode = Measured()
        found = {embedder.name: Measured() for embedder in ours}
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            _throughput(encoder, batch_size, ours, texts, encode, found)
            _latency(encoder, ours, texts[number * singles :][:singles], encode, found)
    runs = _runs(encode, found, batch_size)
    _show(runs)
    report.save(
        "embedder",
        _headline(encode, found),
        runs,
        hardware=hardware,
        versions=report.versions(
            "numpy", "onnxruntime", "openvino", "sentence-transformers", "torch", "transformers"
        ),
        quick=options.quick,
        texts=count,
        seconds=round(time.monotonic() - begun),
    )


def _best_batch_size(encoder: peer.Encoder, texts: Sequence[str]) -> int:
    sample = texts[: max(peer.BATCH_SIZES) * 4]
    encoder.encode(sample, peer.BATCH_SIZES[0])
    seconds = {size: min(encoder.encode(sample, size).seconds for _ in range(2)) for size in peer.BATCH_SIZES}
    return min(seconds, key=lambda size: seconds[size])


def _throughput(
    encoder: peer.Encoder,
    batch_size: int,
    ours: Sequence[served.Served],
    texts: Sequence[str],
    encode: Measured,
    found: dict[str, Measured],
) -> None:
    """All texts by each contestant and load; `encode` between the loads, for machines have moods."""
    for load in LOADS:
        encoded = encoder.encode(texts, batch_size)
        encode.rates.setdefault(load, []).append(len(texts) / encoded.seconds)
        encode.vectors[load] = encoded.vectors
        for embedder in ours:
            answered = embedder.embed(texts, *load)
            measured = found[embedder.name]
            measured.rates.setdefault(load, []).append(len(texts) / answered.seconds)
            measured.vectors[load] = answered.vectors


def _latency(
    encoder: peer.Encoder,
    ours: Sequence[served.Served],
    texts: Sequence[str],
    encode: Measured,
    found: dict[str, Measured],
) -> None:
    """One text at a time, the next when the last is answered."""
    encode.singles_s += encoder.one_by_one(texts)
    for embedder in ours:
        found[embedder.name].singles_s += embedder.embed(texts, 1, 1).latencies_s


def _headline(encode: Measured, found: dict[str, Measured]) -> dict[str, float]:
    told: dict[str, float] = {}
    for key, name in (("onnx", "onnx auto"), ("onnx_f32", "onnx float32"), ("onnx_int8", "onnx int8")):
        if name in found:
            measured = found[name]
            told[f"{key}_vs_encode"] = _ratio(measured, encode, HEADLINE_LOAD)
            cosines = _cosines(measured.vectors[HEADLINE_LOAD], encode.vectors[HEADLINE_LOAD])
            told[f"{key}_cosine"] = float(cosines.mean())
    if "onnx auto" in found:
        told["p95_c1_vs_encode"] = _p95(found["onnx auto"].singles_s) / _p95(encode.singles_s)
    told["batch_agreement"] = min(map(_least_agreement, found.values()))
    return told


def _ratio(measured: Measured, encode: Measured, load: tuple[int, int]) -> float:
    """Median of the rounds' ratios."""
    pairs = zip(measured.rates[load], encode.rates[load], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def _least_agreement(measured: Measured) -> float:
    """Cosine between a text's vectors of different loads, which put it into different batches; the least."""
    alone = measured.vectors[LOADS[0]]
    return float(min(_cosines(alone, vectors).min() for vectors in measured.vectors.values()))


def _cosines(one: Vectors, other: Vectors) -> NDArray[np.float64]:
    """Of unit vectors, row by row."""
    return np.asarray(np.einsum("nd,nd->n", one.astype(np.float64), other.astype(np.float64)))


def _p95(seconds: Sequence[float]) -> float:
    return float(np.quantile(seconds, 0.95))


def _runs(encode: Measured, found: dict[str, Measured], batch_size: int) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = [
        {
            "contestant": "SentenceTransformer.encode",
            "batch_size": batch_size,
            "texts_per_s": statistics.median(rate for rates in encode.rates.values() for rate in rates),
            "single_p50_ms": 1e3 * statistics.median(encode.singles_s),
            "single_p95_ms": 1e3 * _p95(encode.singles_s),
        }
    ]
    for name, measured in found.items():
        cosines = _cosines(measured.vectors[HEADLINE_LOAD], encode.vectors[HEADLINE_LOAD])
        runs.append(
            {
                "contestant": name,
                "single_p50_ms": 1e3 * statistics.median(measured.singles_s),
                "single_p95_ms": 1e3 * _p95(measured.singles_s),
                "cosine_mean": cosines.mean(),
                "cosine_least": cosines.min(),
                "agreement_of_batches": _least_agreement(measured),
                "loads": [
                    {
                        "requests_at_once": load[0],
                        "texts_per_request": load[1],
                        "texts_per_s": statistics.median(rates),
                        "vs_encode": _ratio(measured, encode, load),
                    }
                    for load, rates in measured.rates.items()
                ],
            }
        )
    return runs


def _show(runs: Sequence[dict[str, Any]]) -> None:
    for run in runs:
        p50, p95 = run["single_p50_ms"], run["single_p95_ms"]
        print(f"\n{run['contestant']}: one text p50 {p50:.2f} ms, p95 {p95:.2f} ms")
        if "texts_per_s" in run:
            print(f"  {run['texts_per_s']:,.0f} texts/s in batches of {run['batch_size']}")
        for load in run.get("loads", ()):
            print(
                f"  {load['requests_at_once']:3} at once x {load['texts_per_request']:2} texts:"
                f" {load['texts_per_s']:7,.0f} texts/s, {load['vs_encode']:.2f} x encode"
            )
        if "cosine_mean" in run:
            print(
                f"  cosine {run['cosine_mean']:.5f} mean, {run['cosine_least']:.5f} least;"
                f" between batches {run['agreement_of_batches']:.6f}"
            )


if __name__ == "__main__":
    main()
