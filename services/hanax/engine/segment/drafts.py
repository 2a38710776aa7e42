"""Folders that are whole or absent: written under a draft name, and renamed when they are durable."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hanax.engine.storage.files import full_disk_named, sync_folder

DRAFT_SUFFIX = ".draft"


@contextmanager
def drafted(folder: Path, what: str) -> Iterator[Path]:
    """A new folder that gets its name when the block ends well; else nothing is left of it.

    What the block writes is durable before it ends. Raises StorageFull, which says what had no room.
    """
    draft = folder.with_name(folder.name + DRAFT_SUFFIX)
    for left in (draft, folder):
        shutil.rmtree(left, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with full_disk_named(what):
            yield draft
            draft.rename(folder)
            sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
