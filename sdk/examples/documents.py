"""A library: documents that the server divides, embeds and searches.

It needs a model that embeds texts, and the metadata database.

    python documents.py http://127.0.0.1:8000
"""

from __future__ import annotations

import sys

from hxp_vector_client import Field, VectorClient

_TEXT = """# Storage

Every record carries a CRC-32C checksum.

# Search

Graphs are walked from the top layer down.
"""


def main(url: str) -> None:
    with VectorClient(url) as client:
        library = client.libraries.create("sdk-documents", index={"type": "auto"})
        document = client.documents.create(
            library.id,
            title="Handbook",
            metadata={"year": 2024},
            text=_TEXT,
            chunking={"type": "headings"},
        )
        print("chunks", document.chunk_count)
        found = client.libraries.query(
            library.id, "which checksum has a record?", k=1, filter=Field("document.metadata.year") >= 2020
        )
        for result in found:
            print(result.headings, result.text.strip())
        client.libraries.delete(library.id)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
