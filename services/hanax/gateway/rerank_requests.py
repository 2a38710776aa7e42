"""What a user may ask of cross-encoders for its own sake."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from hanax.gateway.requests import Request

# Each is read with the query.
MAX_DOCUMENTS: Final = 1_000

_MODEL: Final = "one of the rerank models that the gateway knows"
_QUERY: Final = "what the documents are to fit"


class RerankRequest(Request):
    """Texts to put into order by how well they fit a query."""

    model: Annotated[str, Field(description=_MODEL, examples=["mini"])]
    query: Annotated[SkipValidation[str], Field(description=_QUERY)]
    documents: Annotated[SkipValidation[list[str]], Field(description=f"1 to {MAX_DOCUMENTS} texts")]
    top_n: Annotated[int | None, Field(ge=1, description="the best of them alone; none: all")] = None


class RerankBody(BaseModel):
    """The same as clients of other rerank APIs send it. Fields that are not named here are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    model: Annotated[str, Field(description=_MODEL, examples=["mini"])]
    query: Annotated[SkipValidation[str], Field(description=_QUERY)]
    documents: Annotated[
        SkipValidation[list[str | dict[str, Any]]],
        Field(description=f"1 to {MAX_DOCUMENTS} texts, each as it is or as text of an object"),
    ]
    top_n: Annotated[int | None, Field(ge=1, description="the best of them alone; null: all")] = None
    return_documents: Annotated[
        bool | None, Field(description="whether results hold their documents; null: they do not")
    ] = False

    def asked(self) -> RerankRequest:
        """What is no text is found by who reads it."""
        documents: Any = self.documents
        if isinstance(documents, list):
            documents = [one["text"] if isinstance(one, dict) and "text" in one else one for one in documents]
        return RerankRequest(model=self.model, query=self.query, documents=documents, top_n=self.top_n)


RERANK_BODIES: Final[list[type[BaseModel]]] = [RerankBody]
