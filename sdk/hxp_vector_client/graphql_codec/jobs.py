"""Jobs."""

from __future__ import annotations

from typing import Final

from hxp_vector_client.errors import NotSupported
from hxp_vector_client.graphql_codec.writing import Asked, Document, ask, fields, same
from hxp_vector_client.requests import Request

JOB: Final = fields(
    "{job_id kind state model collection priority progress{total done failed rate eta_s}created_at "
    "updated_at began_at ended_at error{code type message details}result spec ids}"
)


def _submit(request: Request) -> Asked:
    return ask("mutation", "submitJob(job:$job)", JOB, job=("JSON!", dict(request.body or {})))


def _list(request: Request) -> Asked:
    query = request.query
    if query.get("before") is not None:
        raise NotSupported("before is not there over GraphQL; the transport rest has it")
    return ask(
        "query",
        "jobs(state:$state,limit:$limit,cursor:$cursor)",
        f"{{jobs{JOB}{fields('next_cursor')}}}",
        state=("String", query.get("state")),
        limit=("Int!", query.get("limit", 100)),
        cursor=("String", query.get("cursor")),
    )


def _items(request: Request) -> Asked:
    query = request.query
    after = query.get("after")
    return ask(
        "query",
        "failedItems(job:$job,after:$after,limit:$limit)",
        fields("{items{number line id error{code message}item}next_after}"),
        job=("ID!", request.path["job_id"]),
        after=("Int!", -1 if after is None else after),
        limit=("Int!", query.get("limit", 100)),
    )


def _queue(_: Request) -> Asked:
    return ask("query", "queue", fields("{jobs tasks{waiting running}oldest_wait_s}"))


def _of_one(kind: str, name: str) -> Document:
    def write(request: Request) -> Asked:
        return ask(kind, f"{name}(id:$id)", JOB, id=("ID!", request.path["job_id"]))

    return Document(write, same)


SUBMIT: Final = Document(_submit, same)
LIST: Final = Document(_list, same)
ITEMS: Final = Document(_items, same)
QUEUE: Final = Document(_queue, same)
EVENTS: Final = _of_one("subscription", "jobProgress")
GET: Final = _of_one("query", "job")
PAUSE: Final = _of_one("mutation", "pauseJob")
RESUME: Final = _of_one("mutation", "resumeJob")
RETRY: Final = _of_one("mutation", "retryJob")
FORGET: Final = _of_one("mutation", "forgetJob")
CANCEL: Final = _of_one("mutation", "cancelJob")
