"""A pandas frame stored, and what a search finds as a frame.

python frames.py http://127.0.0.1:8000
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from hxp_vector_client import FrameColumns, VectorClient
from hxp_vector_client.frames import to_pandas


def main(url: str) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "key": [f"row-{number}" for number in range(100)],
            "embedding": list(rng.standard_normal((100, 16))),
            "price": rng.uniform(1, 9, 100).round(2),
            "title": ["a", "b", None, "d"] * 25,
        }
    )
    with VectorClient(url) as client:
        client.collections.create("sdk-frames", 16)
        columns = FrameColumns(id="key", vector="embedding")
        print("stored", client.write_frame("sdk-frames", frame, columns).inserted)
        found = client.search("sdk-frames", frame["embedding"][0], limit=3)
        print(to_pandas(found)[["id", "score", "price", "title"]])
        client.collections.delete("sdk-frames")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
