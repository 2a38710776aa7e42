"""`hana-x-models test`: whether a model does what its route says."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from hanax.cli.models.embedding import embed
from hxp_vector_client import AsyncVectorClient, VectorError
from hxp_vector_client.models import ModelStatus

_QUESTION: Final = "how do I compute the checksum of a file?"
_NEAR: Final = "Calculating a file's hash digest"
_FAR: Final = "The cat slept all afternoon on the warm window sill"
# The same text in another batch is padded to another length, which costs some of float32.
_SAME: Final = 0.999


async def try_model(client: AsyncVectorClient, model: ModelStatus) -> dict[str, Any]:
    """model, ok, latency_ms of the first text, and checks: each with check, result (ok, failed or note) and
    message. Of a model that does not answer there is one check.
    """
    began = time.perf_counter()
    try:
        alone = (await embed(client, model.model, [_QUESTION])).vectors
        latency_ms = round((time.perf_counter() - began) * 1e3, 2)
        again = (await embed(client, model.model, [_QUESTION])).vectors
        batch = (await embed(client, model.model, [_FAR, _QUESTION, _NEAR])).vectors
    except VectorError as error:
        return _told(model, None, [_check("answers", False, error.message)])
    checks = [_check("answers", True, f"{latency_ms:.1f} ms for one text")]
    dimension = alone.shape[1]
    checks.append(
        _check("dimension", dimension == model.dimension, f"{dimension}, declared {model.dimension}")
    )
    everything = np.concatenate([alone, again, batch])
    checks.append(_check("finite numbers", bool(np.isfinite(everything).all()), ""))
    lengths = np.linalg.norm(everything, axis=1)
    checks.append(
        _check(
            "length 1",
            bool(np.allclose(lengths, 1.0, atol=1e-3)),
            f"{lengths.min():.4f} to {lengths.max():.4f}",
        )
    )
    same = float(alone[0] @ again[0])
    checks.append(_check("same text, same vector", same >= _SAME, f"similarity {same:.4f}"))
    in_batch = float(alone[0] @ batch[1])
    checks.append(_check("same vector in a batch", in_batch >= _SAME, f"similarity {in_batch:.4f}"))
    near, far = float(batch[1] @ batch[2]), float(batch[1] @ batch[0])
    meaning = _check("nearer in meaning is nearer", near > far, f"related {near:.3f}, unrelated {far:.3f}")
    if near <= far:
        # True of the model-free embedder, which is meant for tests.
        meaning["result"] = "note"
    return _told(model, latency_ms, [*checks, meaning])


def _told(model: ModelStatus, latency_ms: float | None, checks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "model": model.model,
        "ok": all(one["result"] != "failed" for one in checks),
        "latency_ms": latency_ms,
        "checks": checks,
    }


def _check(name: str, passed: bool, message: str) -> dict[str, Any]:
    return {"check": name, "result": "ok" if passed else "failed", "message": message}
