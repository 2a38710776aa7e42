"""Values of enumerations, from and to the words that all doors share: METRIC_COSINE is `cosine`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from citadel.vector.v1 import jobs_pb2
from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.errors import InvalidArgument

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper


@dataclass(frozen=True, slots=True)
class Words:
    """kind: of which the values begin with `prefix`. unspecified: what 0 means; None: it is left out."""

    kind: _EnumTypeWrapper[Any]
    prefix: str
    unspecified: str | None

    def read(self, value: int, where: str) -> str | None:
        """Raises InvalidArgument for a number that has no name."""
        if value == 0:
            return self.unspecified
        try:
            return self.kind.Name(value).removeprefix(self.prefix).lower()
        except ValueError:
            known = ", ".join(self.kind.keys()[1:])
            raise InvalidArgument(f"{where}: expected one of {known}; got {value}") from None

    def write(self, word: str) -> Any:
        return self.kind.Value(self.prefix + word.upper())


INSERT_MODE: Final = Words(pb.InsertMode, "INSERT_MODE_", "upsert")
LONG_TEXTS: Final = Words(pb.LongTextRule, "LONG_TEXT_RULE_", "truncate")
PURPOSE: Final = Words(pb.TextPurpose, "TEXT_PURPOSE_", "none")
METADATA_MODE: Final = Words(pb.MetadataUpdateMode, "METADATA_UPDATE_MODE_", "merge")
METRIC: Final = Words(pb.Metric, "METRIC_", None)
PAYLOAD_INDEX: Final = Words(pb.PayloadIndex, "PAYLOAD_INDEX_", "")
STATE: Final = Words(pb.CollectionState, "COLLECTION_STATE_", None)
JOB_STATE: Final = Words(jobs_pb2.JobState, "JOB_STATE_", None)

# By the names of the enumerations, for whoever reads messages field by field.
WORDS: Final = {
    words.kind.DESCRIPTOR.name: words
    for words in (
        INSERT_MODE,
        LONG_TEXTS,
        PURPOSE,
        METADATA_MODE,
        METRIC,
        PAYLOAD_INDEX,
        STATE,
        JOB_STATE,
        Words(pb.RecommendStrategy, "RECOMMEND_STRATEGY_", None),
        Words(jobs_pb2.MetadataSource, "METADATA_SOURCE_", None),
        Words(jobs_pb2.ResultFormat, "RESULT_FORMAT_", None),
        Words(jobs_pb2.RowForm, "ROW_FORM_", None),
        Words(jobs_pb2.UploadFormat, "UPLOAD_FORMAT_", None),
    )
}
