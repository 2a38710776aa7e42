"""The hash backend: the same vectors everywhere, words in common are near, never a zero vector."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanax.embedder.backends import Vectors
from hanax.embedder.backends.hash_backend import HashBackend

BACKEND = HashBackend()

# Changed by nothing but a new way of hashing, which needs a new model name: stored vectors stay.
SIGNED_BUCKETS_OF_HELLO_WORLD = [18, 27, -45, -62, -76, -125, -138, -139, 151, 292, -303, 368, 376]


def embed(*texts: str) -> Vectors:
    return BACKEND.embed(BACKEND.tokenize(texts))


def test_vectors_never_change() -> None:
    (vector,) = embed("Hello, world!")
    signed = [int(np.copysign(bucket, vector[bucket])) for bucket in np.flatnonzero(vector)]
    assert signed == SIGNED_BUCKETS_OF_HELLO_WORLD


def test_another_process_gives_the_same_bytes() -> None:
    program = (
        "import sys\n"
        "from hanax.embedder.backends.hash_backend import HashBackend\n"
        "backend = HashBackend()\n"
        "vectors = backend.embed(backend.tokenize(['Hello, world!', 'naïve café']))\n"
        "sys.stdout.buffer.write(vectors.tobytes())\n"
    )
    # A hash seed of its own, as every process has.
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert found.stdout == embed("Hello, world!", "naïve café").tobytes()


def test_a_vector_does_not_depend_on_its_batch() -> None:
    together = embed("one", "two words", "three")
    assert np.array_equal(together[1], embed("two words")[0])


@given(st.text(min_size=1).filter(lambda text: text.strip() != ""))
def test_every_text_has_a_unit_vector(text: str) -> None:
    vectors = embed(text)
    assert vectors.shape == (1, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors[0]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("text", ["!!!", "→", "....", "\u200b", "🦊"])
def test_a_text_without_words_is_a_word(text: str) -> None:
    (tokens,) = BACKEND.tokenize([text])
    assert tokens.count == 1
    assert np.linalg.norm(embed(text)[0]) == pytest.approx(1.0, abs=1e-5)


def test_features_that_cancel_leave_the_first() -> None:
    (tokens,) = BACKEND.tokenize(["x"])
    bucket, top = np.uint64(5), np.uint64(1 << 63)
    # 384 divides 2 ** 63 with a remainder, so the same bucket needs another low part.
    opposite = top + (bucket + np.uint64(384) - top % np.uint64(384)) % np.uint64(384)
    cancelling = type(tokens)(np.array([bucket, opposite], np.uint64), 1, truncated=False)
    (vector,) = BACKEND.embed([cancelling])
    assert np.flatnonzero(vector).tolist() == [5]


def test_words_in_common_are_near() -> None:
    query, near, far = embed(
        "compute the checksum of a file",
        "Computes a file's checksum.",
        "Draw a circle on the canvas.",
    )
    assert query @ near > query @ far + 0.3


def test_case_and_width_do_not_matter() -> None:
    wide_c = "\N{FULLWIDTH LATIN SMALL LETTER C}"
    lower, upper, wide = embed("checksum", "CHECKSUM", f"{wide_c}hecksum")
    assert np.array_equal(lower, upper)
    assert np.array_equal(lower, wide)


def test_a_long_text_is_cut_at_the_limit() -> None:
    limit = BACKEND.info.max_tokens
    whole, cut = BACKEND.tokenize(["word " * limit, "word " * (limit + 1)])
    assert (whole.count, whole.truncated) == (limit, False)
    assert (cut.count, cut.truncated) == (limit, True)


def test_it_is_never_presented_as_semantic() -> None:
    assert not BACKEND.info.semantic
    assert BACKEND.info.name == "hash-384"
