"""Instants of dates written as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hanax.core.times import instant_of, text_of

SECOND = 1_000_000
DAY = 86_400 * SECOND


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01", 0),
        ("1970-01-02", DAY),
        ("1969-12-31", -DAY),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01z", SECOND),
        ("1970-01-01 00:00:01", SECOND),
        ("1970-01-01T00:00:00.5Z", SECOND // 2),
        ("1970-01-01T00:00:00.000001", 1),
        ("1970-01-01T00:00:00.000000999Z", 0),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T18:30:00-05:30", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1970-01-01T00:00:00+23:59", -86_340 * SECOND),
        ("2000-02-29", 11_016 * DAY),
        ("0001-01-01", -719_162 * DAY),
        ("0001-01-01T00:00:00+00:01", -719_162 * DAY - 60 * SECOND),
        ("9999-12-31T23:59:59.999999-23:59", 2_932_897 * DAY + 86_340 * SECOND - 1),
    ],
)
def test_instant(text: str, instant: int) -> None:
    assert instant_of(text) == instant


@pytest.mark.parametrize("hours", range(-23, 24, 5))
def test_instants_agree_with_datetime(hours: int) -> None:
    for days in range(0, 800_000, 9_973):
        when = datetime(1800, 3, 1, 5, 6, 7, 890_123, UTC) + timedelta(days=days, seconds=days)
        text = f"{when.replace(tzinfo=None).isoformat()}{hours:+03d}:00"
        expected = (when - timedelta(hours=hours) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
            microseconds=1
        )
        assert instant_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2024",
        "2024-01",
        "2024-1-31",
        "20240131",
        "2024-W05-3",
        "2024-02-30",
        "2023-02-29",
        "2024-13-01",
        "2024-00-10",
        "2024-01-00",
        "0000-01-01",
        "-2024-01-01",
        "12024-01-01",
        "2024-01-31T",
        "2024-01-31Z",
        "2024-01-31+01:00",
        "2024-01-31T10",
        "2024-01-31T10:00",
        "2024-01-31T10:00Z",
        "2024-01-31T24:00:00Z",
        "2024-01-31T10:60:00Z",
        "2016-12-31T23:59:60Z",
        "2024-01-31T10:00:61Z",
        "2024-01-31T10:00:00.",
        "2024-01-31T10:00:00.1234567890Z",
        "2024-01-31T10:00:00,5Z",
        "2024-01-31T10:00:00+24:00",
        "2024-01-31T10:00:00+01:60",
        "2024-01-31T10:00:00+0100",
        "2024-01-31T10:00:00+01",
        "2024-01-31T10:00:00 Z",
        "2024-01-31_10:00:00Z",
        " 2024-01-31",
        "2024-01-31\n",
        "\uff12\uff10\uff12\uff14-01-31",
        "٢٠٢٤-01-31",
    ],
)
def test_other_texts_are_no_dates(text: str) -> None:
    assert instant_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "2031-01-31T10:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ],
)
def test_an_instant_as_text(text: str) -> None:
    instant = instant_of(text)
    assert instant is not None
    assert text_of(instant) == text
