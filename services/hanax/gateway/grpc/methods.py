"""What a method is: which messages it takes, and what it answers to them.

A service is a table of its methods by their names. `edge` makes handlers of them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from hanax.core.errors import HanaxError
from hanax.gateway.calls import Call

Question = TypeVar("Question", bound=Message)
Answer = TypeVar("Answer", bound=Message)


@dataclass(frozen=True, slots=True)
class Unary(Generic[Question, Answer]):
    """One message in, one out.

    changes: something, so that an Idempotency-Key counts. tells_secret: its answer is kept nowhere.
    """

    question: type[Question]
    answer: Callable[[Call, Question], Awaitable[Answer]]
    changes: bool = False
    tells_secret: bool = False


@dataclass(frozen=True, slots=True)
class Streamed(Generic[Question, Answer]):
    """One message in, many out."""

    question: type[Question]
    answers: Callable[[Call, Question], AsyncGenerator[Answer]]


@dataclass(frozen=True, slots=True)
class Uploaded(Generic[Question, Answer]):
    """Many messages in, one out."""

    question: type[Question]
    answer: Callable[[Call, AsyncIterator[Question]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Conversation(Generic[Question, Answer]):
    """Each message in is answered by one out before the next is taken. A call of its own for each.

    failed: the answer to a message that was refused; messages are numbered from 0 on. place: what it holds
    from its first message to its end.
    """

    question: type[Question]
    answer: Callable[[Call, int, Question], Awaitable[Answer]]
    failed: Callable[[int, HanaxError], Answer]
    place: Callable[[], AbstractContextManager[None]]


Method = Unary[Any, Any] | Streamed[Any, Any] | Uploaded[Any, Any] | Conversation[Any, Any]
Methods = Mapping[str, Method]
