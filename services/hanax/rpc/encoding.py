"""Messages written around their largest field, whose bytes are copied once.

As a message they would be copied into it, and once more when it is encoded. The fields of an encoded message
may come in any order and one behind another (protobuf's encoding guide), so that what is small is encoded as
usual, and put around what is large.
"""

from __future__ import annotations

from typing import Final

# Of protobuf's encoding: a field whose length is told before it.
_LENGTH_DELIMITED: Final = 2


def field_start(field: int, length: int) -> bytes:
    """What stands before the bytes of a field, by its number."""
    return _varint(field << 3 | _LENGTH_DELIMITED) + _varint(length)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
