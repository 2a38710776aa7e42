"""Documents that clients send by their hash, once any gateway has seen them: Apollo's automatic persisted
queries, https://www.apollographql.com/docs/apollo-server/performance/apq.

Kept are documents that are valid, in the cache's store: with Redis, all gateways know what one has seen.
"""

from __future__ import annotations

from typing import Final

from hanax.core.errors import GraphqlInvalid, PersistedQueryNotFound
from hanax.gateway.cache.stores import LASTING, Store, Value
from hanax.gateway.graphql.documents import Document, Documents, hash_of
from hanax.gateway.graphql.requests import Asked

_KEY: Final = LASTING + b"graphql:"
_TTL_S: Final = 86_400.0


class PersistedDocuments:
    def __init__(self, documents: Documents, store: Store) -> None:
        self._documents = documents
        self._store = store

    async def find(self, asked: Asked) -> Document:
        """The document that a request means.

        Raises PersistedQueryNotFound for a hash that is not known here, GraphqlInvalid for one that is not
        the text's, and what reading a document raises.
        """
        if asked.hash is None:
            if not asked.query:
                raise GraphqlInvalid("query: expected a document")
            return await self._documents.read(asked.query)
        key = _KEY + bytes.fromhex(asked.hash)
        if asked.query:
            if hash_of(asked.query.encode("utf-8", "replace")) != asked.hash:
                raise GraphqlInvalid("extensions.persistedQuery.sha256Hash: is not the hash of query")
            document = await self._documents.read(asked.query)
            self._store.keep(key, Value(document.text.encode(), _TTL_S))
            return document
        known = self._documents.known(asked.hash)
        if known is not None:
            return known
        kept = await self._store.read([key])
        raw = kept[0] if kept else None
        if raw is None or hash_of(raw) != asked.hash:
            # Clients look for this very text, and send the document with its hash then.
            raise PersistedQueryNotFound("PersistedQueryNotFound", sha256Hash=asked.hash)
        return await self._documents.read(raw.decode())
