"""Errors by their class, times and tries of one call.

python failures.py http://127.0.0.1:8000
"""

from __future__ import annotations

import sys

from hxp_vector_client import VectorClient, VectorError, errors


def main(url: str) -> None:
    with VectorClient(url) as client:
        client.collections.create("sdk-failures", 3)
        try:
            client.search("sdk-failures", [1.0, 2.0])
        except errors.DimensionMismatch as error:
            print(error.code, error.details["expected"], error.details["got"])
        try:
            client.collections.get("sdk-nowhere")
        except errors.NotFound as error:
            # Also what is narrower: CollectionNotFound, PointNotFound, ...
            print(type(error).__name__, error.status)

        patient = client.options(timeout_s=120, retries=8)
        print("points", patient.count("sdk-failures"))
        hurried = client.options(timeout_s=0.000_001, retries=0)
        try:
            hurried.count("sdk-failures")
        except VectorError as error:
            print(error.code)
        client.collections.delete("sdk-failures")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
