"""Cache-Control of a request: what it asks of the cache, in every spelling."""

from __future__ import annotations

import pytest

from hanax.gateway.cache.control import ANY, CacheControl, read_cache_control


@pytest.mark.parametrize(
    ("header", "control"),
    [
        (None, ANY),
        (b"", ANY),
        (b"no-cache", CacheControl(read=False)),
        (b"No-Cache ", CacheControl(read=False)),
        (b"no-store", CacheControl(read=False, store=False)),
        (b"max-age=60, no-store", CacheControl(False, False, 60)),
        (b"max-age=60", CacheControl(max_age_s=60)),
        (b'max-age="60"', CacheControl(max_age_s=60)),
        (b"max-age=0", CacheControl(read=False, max_age_s=0)),
        (b"max-age=" + b"9" * 400, CacheControl(max_age_s=999_999_999)),
        # Not well formed, or for other caches.
        (b"max-age=-1", ANY),
        (b"max-age=soon, , =, only-if-cached", ANY),
        (b"\xff\xfe", ANY),
    ],
)
def test_directives_are_read_and_others_passed_over(header: bytes | None, control: CacheControl) -> None:
    assert read_cache_control(header) == control
