"""Torn tails are cut; any other damage is DataLoss that names file and place. Nothing is skipped.

What can't be told from a torn write, because the bytes are the same: the end of the log missing, and, in
its last group of writes, damage beside a page of stored zeros. Tests below say so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanax.core.errors import DataLoss
from hanax.engine.storage.log import FileLog
from tests.unit.engine import log_format
from tests.unit.engine.log_format import FILE_HEADER_BYTES, PAGE_BYTES, RECORD_HEADER_BYTES

PAYLOADS = [b"one", b"the second", b"3" * 40, b"fourth!"]


def recovered(folder: Path, covered: int = 0) -> list[bytes]:
    """What opening brings back; then one more is appended and all are there when it is opened again."""
    log = FileLog(folder)
    payloads = [payload for _, payload in log.replay(covered)]
    log.append([[b"new"]])
    log.close()
    again = FileLog(folder)
    assert [payload for _, payload in again.replay(covered)] == [*payloads, b"new"]
    again.close()
    return payloads


def refusal(folder: Path, covered: int = 0) -> DataLoss:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(DataLoss) as caught:
        list(FileLog(folder).replay(covered))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before, "evidence was changed"
    return caught.value


def put(folder: Path, first: int, data: bytes) -> Path:
    """Put a file there in place of whatever the folder holds under that name."""
    path = folder / log_format.name(first)
    path.write_bytes(data)
    return path


def clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def alone(first: int, payloads: list[bytes]) -> bytes:
    """Records each with a sync of its own."""
    return b"".join(log_format.group(first + place, [payload]) for place, payload in enumerate(payloads))


def starts(payloads: list[bytes]) -> list[int]:
    """Where each record begins in a file, and its end."""
    sizes = (RECORD_HEADER_BYTES + len(payload) for payload in payloads)
    return list(itertools.accumulate(sizes, initial=FILE_HEADER_BYTES))


# Torn writes


@pytest.mark.parametrize("together", [False, True])
def test_a_tail_torn_at_any_byte_is_cut(folder: Path, together: bool) -> None:
    """One record per sync, or all in one: what is left is every whole record before the cut."""
    data = log_format.file_header(1) + (log_format.group(1, PAYLOADS) if together else alone(1, PAYLOADS))
    begins = starts(PAYLOADS)
    for cut in range(len(data)):
        clear(folder)
        put(folder, 1, data[:cut])
        whole = sum(end <= cut for end in begins[1:])
        assert recovered(folder) == PAYLOADS[:whole]


def test_a_torn_tail_behind_closed_files_is_cut(folder: Path) -> None:
    second = log_format.file_header(3) + alone(3, PAYLOADS[2:])
    for cut in range(len(second)):
        clear(folder)
        put(folder, 1, log_format.file_header(1) + alone(1, PAYLOADS[:2]))
        put(folder, 3, second[:cut])
        assert recovered(folder)[:2] == PAYLOADS[:2]


def test_a_file_that_was_just_being_made_is_forgotten(folder: Path) -> None:
    for leftover in (b"", b"HANAX", bytes(FILE_HEADER_BYTES - 1), bytes(FILE_HEADER_BYTES)):
        clear(folder)
        put(folder, 1, log_format.file_header(1) + alone(1, PAYLOADS[:2]))
        put(folder, 3, leftover)
        assert recovered(folder) == PAYLOADS[:2]


def unwritten(data: bytes, begin: int) -> Iterator[bytes]:
    """The file after a power cut before the sync of what follows `begin`.

    Any of its pages may read as zeros, and it may end after any of them.
    """
    edges = [begin, *range(-(-(begin + 1) // PAGE_BYTES) * PAGE_BYTES, len(data), PAGE_BYTES), len(data)]
    pages = [data[first:last] for first, last in itertools.pairwise(edges)]
    for kept in range(len(pages) + 1):
        for chosen in itertools.product([True, False], repeat=kept):
            parts = [page if there else bytes(len(page)) for page, there in zip(pages, chosen, strict=False)]
            yield data[:begin] + b"".join(parts)


# The first page of a record's group holds so many bytes of it. Fewer than 4 can't tell, see below.
@pytest.mark.parametrize("in_first_page", [4, 39, 40, 41, 63, 64, 65, 500, PAGE_BYTES])
@pytest.mark.parametrize("sizes", [[100], [5_000, 300, 300], [20, 20, 9_000], [4_000, 4_000, 4_500]])
def test_pages_of_the_last_group_that_a_power_cut_left_unwritten(
    folder: Path, in_first_page: int, sizes: list[int]
) -> None:
    before = 3 * PAGE_BYTES - in_first_page
    durable = [b"d" * (before - FILE_HEADER_BYTES - RECORD_HEADER_BYTES)]
    payloads = [bytes([65 + place]) * size for place, size in enumerate(sizes)]
    # A last page with less than 64 bytes of the file does not tell.
    while 0 < (before + len(log_format.group(2, payloads))) % PAGE_BYTES < 64:
        payloads[-1] += b"+" * 32
    head = log_format.file_header(1) + log_format.group(1, durable)
    data = head + log_format.group(2, payloads)
    assert len(head) == before
    ends = [before + end - FILE_HEADER_BYTES for end in starts(payloads)[1:]]
    for torn in unwritten(data, before):
        clear(folder)
        put(folder, 1, torn)
        whole = 0
        while whole < len(ends) and torn[: ends[whole]] == data[: ends[whole]]:
            whole += 1
        assert recovered(folder) == durable + payloads[:whole]


def test_a_record_that_begins_in_the_last_three_bytes_of_a_page_is_refused_rather_than_guessed(
    folder: Path,
) -> None:
    durable = [b"d" * (PAGE_BYTES - 3 - FILE_HEADER_BYTES - RECORD_HEADER_BYTES)]
    head = log_format.file_header(1) + log_format.group(1, durable)
    data = head + log_format.group(2, [b"x" * 200])
    put(folder, 1, data[: len(head)] + bytes(3) + data[len(head) + 3 :])
    assert refusal(folder).details["offset"] == len(head)


# Damage


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF])
def test_a_changed_byte_anywhere_is_named(folder: Path, together: bool, change: int) -> None:
    """Two files; the last group included, which nothing later vouches for."""
    make = log_format.group if together else alone
    files = {
        1: log_format.file_header(1) + make(1, PAYLOADS[:2]),
        3: log_format.file_header(3) + make(3, PAYLOADS[2:]),
    }
    for first, data in files.items():
        payloads = PAYLOADS[first - 1 : first + 1]
        begins = [0, *starts(payloads)]
        for place in range(len(data)):
            clear(folder)
            for other, good in files.items():
                put(folder, other, good)
            changed = bytearray(data)
            changed[place] ^= change
            path = put(folder, first, bytes(changed))
            error = refusal(folder)
            assert error.details["path"] == str(path)
            assert error.details["offset"] == max(begin for begin in begins if begin <= place)
            assert path.name in error.message


def test_a_changed_byte_is_named_although_a_torn_tail_follows(folder: Path) -> None:
    data = log_format.file_header(1) + alone(1, PAYLOADS)
    begins = starts(PAYLOADS)
    for place in range(FILE_HEADER_BYTES, begins[2]):
        # The tear lies in the last record, so that the third still tells what was durable.
        clear(folder)
        changed = bytearray(data[: begins[3] + 10])
        changed[place] ^= 0x10
        put(folder, 1, bytes(changed))
        assert refusal(folder).details["offset"] == begins[0 if place < begins[1] else 1]


def test_an_end_that_is_missing_is_a_tear_and_so_is_damage_in_the_last_group_beside_stored_zeros(
    folder: Path,
) -> None:
    """What can't be told apart. The same change in a record before the last group is named."""
    zeros = b"metadata" + bytes(2 * PAGE_BYTES)
    data = bytearray(log_format.file_header(1) + alone(1, [b"a", zeros]))
    begin = FILE_HEADER_BYTES + RECORD_HEADER_BYTES + 1
    data[begin + RECORD_HEADER_BYTES] ^= 1
    put(folder, 1, bytes(data))
    assert recovered(folder) == [b"a"]
    clear(folder)
    put(folder, 1, bytes(data) + alone(3, [b"c"]))
    assert refusal(folder).details["offset"] == begin


def test_zeros_that_were_stored_are_no_tear(folder: Path) -> None:
    payloads = [bytes(3 * PAGE_BYTES), bytes(100), b"z" + bytes(PAGE_BYTES)]
    for make in (log_format.group, alone):
        clear(folder)
        put(folder, 1, log_format.file_header(1) + make(1, payloads))
        assert recovered(folder) == payloads


def test_payloads_that_look_like_records(folder: Path) -> None:
    """Bytes of a user's vectors may be anything, a log's records as well."""
    inside = log_format.record(900, 899, b"inside")
    payloads = [inside, inside[:20], b"HXRC" * 50]
    data = log_format.file_header(1) + alone(1, payloads)
    put(folder, 1, data)
    assert recovered(folder) == payloads


def test_a_gap_in_a_file(folder: Path) -> None:
    put(folder, 1, log_format.file_header(1) + alone(1, [b"a"]) + alone(3, [b"c"]))
    error = refusal(folder)
    assert error.details["offset"] == FILE_HEADER_BYTES + RECORD_HEADER_BYTES + 1
    assert "expected sequence 2, found 3" in error.message


def test_a_file_missing_in_the_middle(folder: Path) -> None:
    put(folder, 1, log_format.file_header(1) + alone(1, PAYLOADS[:1]))
    put(folder, 3, log_format.file_header(3) + alone(3, PAYLOADS[2:]))
    error = refusal(folder)
    assert log_format.name(3) in error.message
    assert "expected sequence 2" in error.message


def test_a_file_missing_at_the_start(folder: Path) -> None:
    put(folder, 3, log_format.file_header(3) + alone(3, PAYLOADS[2:]))
    assert "sequences from 1 are missing" in refusal(folder).message
    assert "sequences from 2 are missing" in refusal(folder, covered=1).message
    assert recovered(folder, covered=2) == PAYLOADS[2:]


def test_a_log_that_ends_before_what_the_manifest_covers(folder: Path) -> None:
    put(folder, 1, log_format.file_header(1) + alone(1, PAYLOADS))
    assert "ends at 4" in refusal(folder, covered=5).message


def test_a_closed_file_that_ends_early(folder: Path) -> None:
    first = log_format.file_header(1) + alone(1, PAYLOADS[:2])
    for cut in range(len(first)):
        clear(folder)
        put(folder, 3, log_format.file_header(3) + alone(3, PAYLOADS[2:]))
        put(folder, 1, first[:cut])
        assert log_format.name(1) in refusal(folder).message or "expected sequence" in refusal(folder).message


def test_a_name_that_is_not_the_first_sequence(folder: Path) -> None:
    put(folder, 2, log_format.file_header(1) + alone(1, PAYLOADS))
    assert refusal(folder, covered=1).details["offset"] == 0


def test_another_format_or_another_file(folder: Path) -> None:
    header = bytearray(log_format.file_header(1))
    for other in (b"HANAXSEG" + bytes(24), bytes(header).replace(b"\x01", b"\x02", 1), b"x" * 32):
        put(folder, 1, other + alone(1, PAYLOADS))
        assert refusal(folder).details["offset"] == 0


def test_a_header_of_zeros_before_records_is_damage(folder: Path) -> None:
    """The header was durable before the first record: no power cut does this."""
    put(folder, 1, bytes(FILE_HEADER_BYTES) + alone(1, PAYLOADS))
    assert refusal(folder).details["offset"] == 0
    put(folder, 1, bytes(PAGE_BYTES))
    assert refusal(folder).details["offset"] == 0
