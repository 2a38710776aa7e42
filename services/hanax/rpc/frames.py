"""What travels on a wire: frames, a length in four bytes (big-endian) and as many bytes.

A question: the length of the method's name in one byte, its name in ASCII, the message. An answer: 0 in one
byte and the message, or 1 and why there is none, as google.rpc.Status. A wire has one question at a time, the
next is sent when the last was answered: no frame waits behind another, and none needs a number.
"""

from __future__ import annotations

import struct
from typing import Final

from hanax.core.limits import MAX_MESSAGE_BYTES

LENGTH: Final = struct.Struct(">I")

ANSWERED: Final = b"\0"
FAILED: Final = b"\1"

# Of a whole question: reads ask little. What is larger goes over gRPC.
MAX_QUESTION_BYTES: Final = 1024 * 1024
# Of what follows the length.
MAX_ANSWER_BYTES: Final = 1 + MAX_MESSAGE_BYTES


def question_frame(method: bytes, message: bytes) -> bytes:
    """method: its name, at most 255 bytes."""
    size = 1 + len(method) + len(message)
    return b"".join((LENGTH.pack(size), bytes((len(method),)), method, message))


def split_question(frame: bytes) -> tuple[bytes, bytes]:
    """The method's name and the message, of what follows the length. Raises nothing: a name may be cut."""
    end = 1 + frame[0] if frame else 0
    return frame[1:end], frame[end:]


def answer_frame(mark: bytes, message: bytes) -> bytes:
    """mark: ANSWERED or FAILED."""
    return b"".join((LENGTH.pack(1 + len(message)), mark, message))
