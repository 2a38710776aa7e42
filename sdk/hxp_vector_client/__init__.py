"""Client of HANA-X Vector: one surface over REST, gRPC and GraphQL, synchronous and asynchronous.

from hxp_vector_client import Field, VectorClient

with VectorClient("http://127.0.0.1:8000") as client:
    client.collections.create("docs", 3)
    client.upsert("docs", [[1, 0, 0], [0, 1, 0]], ids=[1, 2], metadata=[{"year": 2024}, {"year": 2019}])
    for hit in client.search("docs", [1, 0.1, 0], filter=Field("year") >= 2020):
        print(hit.id, hit.score, hit.metadata)
"""

from hxp_vector_client import errors, models
from hxp_vector_client._async.client import AsyncVectorClient
from hxp_vector_client._sync.client import VectorClient
from hxp_vector_client.arrays import Array, MatrixLike, VectorLike
from hxp_vector_client.columns import IdLike, NewPoint
from hxp_vector_client.errors import VectorError
from hxp_vector_client.filters import Condition, Field, FilterLike, at_least, has_id
from hxp_vector_client.frames import FrameColumns
from hxp_vector_client.progress import progress_bar
from hxp_vector_client.settings import Batches, CallSettings, Connection, Retries, TransportName
from hxp_vector_client.version import __version__
from hxp_vector_client.writing import Tally

__all__ = [
    "Array",
    "AsyncVectorClient",
    "Batches",
    "CallSettings",
    "Condition",
    "Connection",
    "Field",
    "FilterLike",
    "FrameColumns",
    "IdLike",
    "MatrixLike",
    "NewPoint",
    "Retries",
    "Tally",
    "TransportName",
    "VectorClient",
    "VectorError",
    "VectorLike",
    "__version__",
    "at_least",
    "errors",
    "has_id",
    "models",
    "progress_bar",
]
