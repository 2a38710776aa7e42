"""Server-sent events, however the portions are cut."""

from __future__ import annotations

import pytest

from hxp_vector_client.errors import BadAnswer
from hxp_vector_client.server_events import EventReader, ServerEvent

TOLD = b': waiting\n\nid: 1\nevent: progress\ndata: {"n": 1}\n\ndata: a\ndata: b\r\n\r\nevent: end\n\n'
READ = [ServerEvent("progress", b'{"n": 1}'), ServerEvent("message", b"a\nb")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(TOLD)])
def test_events_are_the_same_however_they_come(size: int) -> None:
    """Signs of life and events without data are none."""
    reader = EventReader()
    portions = [TOLD[begin : begin + size] for begin in range(0, len(TOLD), size)]
    assert [event for portion in portions for event in reader.read(portion)] == READ


def test_what_is_cut_off_is_no_event() -> None:
    assert list(EventReader().read(b"data: {}\n")) == []


def test_what_is_no_json_has_a_name() -> None:
    (event,) = EventReader().read(b"data: {\n\n")
    with pytest.raises(BadAnswer):
        event.json()


def test_an_event_without_an_end_is_given_up() -> None:
    reader = EventReader()
    assert list(reader.read(b"x" * 16 * 1024 * 1024)) == []
    with pytest.raises(BadAnswer, match="longer"):
        list(reader.read(b"x"))
