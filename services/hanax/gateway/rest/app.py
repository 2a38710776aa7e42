"""The REST application: routes, errors, the edge, and documentation that needs no other host."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

import hanax
from hanax.gateway.change_requests import CHANGE_BODIES
from hanax.gateway.embedding_requests import EMBEDDING_BODIES
from hanax.gateway.graphql.door import graphql_routes
from hanax.gateway.graphql.execution import Operations
from hanax.gateway.graphql.page import install_page
from hanax.gateway.guard.rights import KEY_BODIES
from hanax.gateway.libraries.query_requests import QueryRequest
from hanax.gateway.libraries.requests import LIBRARY_BODIES
from hanax.gateway.query_requests import QUERY_BODIES
from hanax.gateway.requests import BODIES
from hanax.gateway.rerank_requests import RERANK_BODIES
from hanax.gateway.rest.aliases import alias_routes
from hanax.gateway.rest.cache import cache_routes
from hanax.gateway.rest.collections import collection_routes
from hanax.gateway.rest.cors import install_cors
from hanax.gateway.rest.direct import DirectRoutes
from hanax.gateway.rest.documents import chunk_routes, document_routes
from hanax.gateway.rest.edge import BodyLimits, Edge
from hanax.gateway.rest.embeddings import embedding_routes, external_routes
from hanax.gateway.rest.encodings import Encodings
from hanax.gateway.rest.entrance import Entrance
from hanax.gateway.rest.errors import install_error_handlers
from hanax.gateway.rest.health import health_routes
from hanax.gateway.rest.idempotency import IdempotentRequests
from hanax.gateway.rest.jobs import JOB_BODIES, job_routes
from hanax.gateway.rest.keys import key_routes
from hanax.gateway.rest.libraries import library_routes
from hanax.gateway.rest.openai import OPENAI_BODIES, openai_routes
from hanax.gateway.rest.openapi import install_openapi
from hanax.gateway.rest.operations import operation_routes
from hanax.gateway.rest.rerank import rerank_routes
from hanax.gateway.rest.searches import aggregate_routes, search_routes
from hanax.gateway.rest.vectors import read_routes, write_routes
from hanax.gateway.services import Services
from hanax.gateway.stream_requests import STREAM_BODIES

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_DESCRIPTION: Final = """
Collections of vectors with metadata, searched by vector or by text.

Every answer is one envelope: `success`, `data` or `error`, `request_id`, `processing_time_ms`. Routes of
libraries have none: they answer the thing itself, or `error`.
Match on `error.code`. 429 and 503 carry Retry-After; every write names its ids, so it may be sent
again. `X-Request-ID` is taken and echoed; `Server-Timing` says where the time went.
"""


def build_app(services: Services, lifespan: Lifespan) -> FastAPI:
    app = FastAPIOffline(
        title="HANA-X Vector",
        version=hanax.__version__,
        description=_DESCRIPTION,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.include_router(collection_routes(services.collections))
    app.include_router(alias_routes(services.aliases))
    of_vectors = [
        search_routes(services.searches, services.group_searches),
        aggregate_routes(services.aggregates),
        read_routes(services.queries, services.scroll_streams),
        write_routes(services.points, services.metadata_changes, services.insert_streams),
    ]
    for router in of_vectors:
        app.include_router(router)
    app.include_router(embedding_routes(services.generation))
    app.include_router(external_routes(services.generation, services.models))
    app.include_router(
        job_routes(services.job_store, services.jobs, services.submissions, services.followers)
    )
    app.include_router(openai_routes(services.generation, services.models))
    app.include_router(rerank_routes(services.reranking))
    app.include_router(cache_routes(services.cache, services.warming))
    for routes in (library_routes, document_routes, chunk_routes):
        router = routes(services.libraries)
        app.include_router(router, prefix="/api/v1")
        # The same under the paths that clients of such libraries know.
        app.include_router(router, include_in_schema=False)
    app.include_router(operation_routes(services.history))
    app.include_router(key_routes(services.api_keys))
    app.include_router(health_routes(services.readiness, services.exposition, services.database_look))
    app.include_router(graphql_routes(Operations(services, services.graphql_limits), services.keys))
    install_page(app, services.graphql_limits.introspection)
    install_error_handlers(app)
    bodies = [
        *BODIES,
        *QUERY_BODIES,
        *CHANGE_BODIES,
        *EMBEDDING_BODIES,
        *OPENAI_BODIES,
        *RERANK_BODIES,
        *JOB_BODIES,
    ]
    install_openapi(app, [*bodies, *KEY_BODIES, *LIBRARY_BODIES, QueryRequest, *STREAM_BODIES])
    app.add_middleware(DirectRoutes, routes=[route for router in of_vectors for route in router.routes])
    app.add_middleware(IdempotentRequests, keys=services.keys)
    app.add_middleware(
        Edge,
        metrics=services.metrics,
        clock=services.clock,
        places=services.places,
        limits=BodyLimits(services.job_store.upload_bytes),
        entrance=Entrance(services.guard, services.exposition.own_port),
    )
    # Around the edge, whose limits count what a body unpacks to.
    app.add_middleware(Encodings)
    install_cors(app, services.guard.openness.origins)
    return app
