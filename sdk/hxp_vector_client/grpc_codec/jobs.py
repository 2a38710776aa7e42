"""Jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hxp_vector_client._stubs import jobs_pb2 as pb
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.grpc_codec.points import MODES
from hxp_vector_client.grpc_codec.values import LONG_TEXTS, PURPOSES, instant, json_bytes, read_json, word
from hxp_vector_client.requests import Request

_STATES: Final = {
    value: name.removeprefix("JOB_STATE_").lower() for name, value in pb.JobState.items() if value
}
_STATE_NUMBERS: Final = {name: value for value, name in _STATES.items()}
# Fields of a job whose words are numbers here.
_WORDS: Final[dict[str, Mapping[str, Any]]] = {
    "metadata": {
        "auto": pb.METADATA_SOURCE_AUTO,
        "object": pb.METADATA_SOURCE_OBJECT,
        "rest": pb.METADATA_SOURCE_REST,
        "none": pb.METADATA_SOURCE_NONE,
    },
    "rows": {"fields": pb.ROW_FORM_FIELDS, "points": pb.ROW_FORM_POINTS},
    "result_format": {"jsonl": pb.RESULT_FORMAT_JSONL, "npy": pb.RESULT_FORMAT_NPY},
    "format": {
        "jsonl": pb.UPLOAD_FORMAT_JSONL,
        "csv": pb.UPLOAD_FORMAT_CSV,
        "parquet": pb.UPLOAD_FORMAT_PARQUET,
        "npy": pb.UPLOAD_FORMAT_NPY,
        "fvecs": pb.UPLOAD_FORMAT_FVECS,
    },
    "mode": MODES,
    "long_texts": LONG_TEXTS,
    "purpose": PURPOSES,
}
_KINDS: Final[dict[str, Any]] = {
    "bulk_embed": pb.BulkEmbed,
    "bulk_insert": pb.BulkInsert,
    "reembed": pb.Reembed,
}
# Of every job, and not of its kind.
_SHARED: Final = ("batch_size", "priority", "format")


def spec(body: Mapping[str, Any]) -> pb.JobSpec:
    """Raises InvalidArgument for a kind, or a field of it, that there is not."""
    kind = body.get("kind")
    message = _KINDS.get(str(kind))
    if message is None:
        raise InvalidArgument(f"kind: expected one of {', '.join(_KINDS)}, got {kind!r}")
    own: dict[str, Any] = {}
    shared: dict[str, Any] = {}
    for name, value in body.items():
        if name in ("kind", "items"):
            continue
        if name == "on_error":
            stops = {"stop": True, "continue": False}
            shared["stop_on_error"] = word(stops, value, "on_error")
            continue
        given = word(_WORDS[name], value, name) if name in _WORDS and value is not None else value
        if name == "id_field" and value is None:
            given = ""
        target = shared if name in _SHARED else own
        if target is own and name not in message.DESCRIPTOR.fields_by_name:
            raise InvalidArgument(f"{name}: not a field of {kind}")
        target[name] = given
    return pb.JobSpec(**{str(kind): message(**own)}, **shared)


def submit(request: Request) -> pb.SubmitJobRequest:
    body = request.body or {}
    if "items" in body and not body["items"]:
        raise InvalidArgument("items: expected at least one")
    items = [json_bytes(item) for item in body.get("items") or ()]
    return pb.SubmitJobRequest(job=spec(body), items_json=items)


def upload_start(request: Request) -> pb.UploadJobRequest:
    name = request.upload.name if request.upload is not None else ""
    return pb.UploadJobRequest(start=pb.UploadStart(job=spec(request.body or {}), file_name=name))


def list_jobs(request: Request) -> pb.ListJobsRequest:
    query = request.query
    state = query.get("state")
    return pb.ListJobsRequest(
        state=word(_STATE_NUMBERS, state, "state") if state is not None else pb.JOB_STATE_UNSPECIFIED,
        limit=query.get("limit"),
        before=query.get("before") or "",
    )


def items(request: Request) -> pb.ListFailedItemsRequest:
    query = request.query
    return pb.ListFailedItemsRequest(
        id=request.path["job_id"], after=query.get("after"), limit=query.get("limit")
    )


def one(kind: Any) -> Any:
    """Writes a request that names a job and nothing else."""

    def write(request: Request) -> Any:
        return kind(id=request.path["job_id"])

    return write


def queue(_: Request) -> pb.GetQueueRequest:
    return pb.GetQueueRequest()


def read_one(answer: Any, _: Request) -> dict[str, Any]:
    """Of any answer with a job."""
    return _job(answer.job)


def read_list(answer: pb.ListJobsResponse, _: Request) -> dict[str, Any]:
    return {"jobs": [_job(job) for job in answer.jobs]}


def read_items(answer: pb.ListFailedItemsResponse, _: Request) -> dict[str, Any]:
    return {
        "items": [
            {
                "number": told.number,
                "line": told.line if told.HasField("line") else None,
                "id": read_json(told.id_json),
                "error": {"code": told.code, "message": told.message},
                "item": _item(told.item),
            }
            for told in answer.items
        ],
        "next_after": answer.next_after if answer.HasField("next_after") else None,
    }


def read_queue(answer: pb.GetQueueResponse, _: Request) -> dict[str, Any]:
    return {
        "jobs": dict(answer.jobs),
        "tasks": {"waiting": answer.tasks_waiting, "running": answer.tasks_running},
        "oldest_wait_s": answer.oldest_wait_s,
    }


def _item(text: str) -> Any:
    """The row, or its text where it is no JSON."""
    try:
        return read_json(text.encode())
    except ValueError:
        return text


def _job(told: pb.Job) -> dict[str, Any]:
    progress = told.progress
    return {
        "job_id": told.id,
        "kind": told.kind,
        "state": _STATES.get(told.state, "unknown"),
        "model": told.model or None,
        "collection": told.collection or None,
        "priority": told.priority,
        "progress": {
            "total": progress.total if progress.HasField("total") else None,
            "done": progress.done,
            "failed": progress.failed,
            "rate": progress.rate if progress.HasField("rate") else None,
            "eta_s": progress.eta_s if progress.HasField("eta_s") else None,
        },
        "created_at": instant(told.created_at_us),
        "updated_at": instant(told.updated_at_us),
        "began_at": instant(told.began_at_us) if told.began_at_us else None,
        "ended_at": instant(told.ended_at_us) if told.ended_at_us else None,
        "error": {
            "code": told.error.code,
            "message": told.error.message,
            "details": read_json(told.error.details_json) or {},
        }
        if told.HasField("error")
        else None,
        "result": read_json(told.result_json),
        "spec": read_json(told.spec_json) or {},
    }
