"""A copy of a shard as of one moment, made of hard links."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from hanax.core.errors import AlreadyExists
from hanax.engine.storage.files import full_disk_named, sync_folder
from hanax.engine.storage.manifest import Manifest


def link_snapshot(source: Path, target: Path, manifest: Manifest, log_files: Sequence[Path]) -> None:
    """Make `target` a shard folder of its own that shares the immutable files of `source`.

    Whole and durable on return, or absent. The caller keeps maintenance and the writer away.
    Raises AlreadyExists and StorageFull.
    """
    if target.exists():
        raise AlreadyExists(f"{target} exists already", path=str(target))
    draft = target.with_name(target.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        with full_disk_named("a snapshot"):
            for name in ("segments", "tombstones", "log"):
                (draft / name).mkdir(parents=True)
            for entry in manifest.segments:
                folder = draft / "segments" / entry.name
                folder.mkdir()
                for path in (source / "segments" / entry.name).iterdir():
                    _link(path, folder / path.name)
                sync_folder(folder)
                if entry.tombstones is not None:
                    name = entry.tombstones.file
                    _link(source / "tombstones" / name, draft / "tombstones" / name)
            for path in log_files:
                _link(path, draft / "log" / path.name)
            for name in ("segments", "tombstones", "log"):
                sync_folder(draft / name)
            manifest.save(draft)
            draft.rename(target)
            sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP):
            raise
        # Another file system, or one without hard links.
        shutil.copyfile(source, target)
        handle = os.open(target, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
