"""What all models have in common."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from hxp_vector_client.errors import BadAnswer


class Model(BaseModel):
    """An answer. Fields that a newer server sends beside these are passed over."""

    model_config = ConfigDict(
        frozen=True, arbitrary_types_allowed=True, extra="ignore", protected_namespaces=()
    )

    @classmethod
    def read(cls, answer: Any) -> Self:
        """From what a server answered. Raises BadAnswer for what does not look like it."""
        try:
            return cls.model_validate(answer)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise BadAnswer(f"the server answered no {cls.__name__}: {place}: {first['msg']}") from error
