"""Instants of dates written as text: RFC 3339, section 5.6."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

_DAY_US: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1).toordinal()

_FORM: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))?)?"
)


def text_of(instant_us: int) -> str:
    """A moment of the years 1 to 9999, in UTC, as RFC 3339 has it."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant_us)
    return moment.isoformat().replace("+00:00", "Z")


def instant_of(text: str) -> int | None:
    """Microseconds since 1970-01-01T00:00:00Z of a date or date-time, or None for any other text.

    A date is its midnight, and what has no offset is in UTC. Years are 1 to 9999. A fraction has
    at most nine digits, of which six count. Leap seconds (23:59:60) are refused: the days of this
    count are all of one length, so such a second would fall on its neighbour.
    """
    # Most texts are told apart here, without the pattern.
    if text[4:5] != "-" or not (found := _FORM.fullmatch(text)):
        return None
    year, month, day, hour, minute, second, fraction, sign, offset_hour, offset_minute = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    instant = days * _DAY_US
    if hour is not None:
        instant += (int(hour) * 3_600 + int(minute) * 60 + int(second)) * 1_000_000
    if fraction is not None:
        instant += int(fraction[:6].ljust(6, "0"))
    if sign is not None:
        offset = (int(offset_hour) * 60 + int(offset_minute)) * 60_000_000
        instant += offset if sign == "-" else -offset
    return instant
