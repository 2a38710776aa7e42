"""A copy of a shard as of one moment, made of hard links."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from hanax.core.errors import AlreadyExists
from hanax.engine.storage.files import full_disk_named, link_durably, sync_folder
from hanax.engine.storage.manifest import FOLDERS, Manifest


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
            for name in FOLDERS:
                (draft / name).mkdir(parents=True)
            for entry in manifest.segments:
                _link_files(source, draft, f"segments/{entry.name}")
                for index in entry.index_folders:
                    _link_files(source, draft, f"indexes/{index}")
                if entry.tombstones is not None:
                    name = entry.tombstones.file
                    link_durably(source / "tombstones" / name, draft / "tombstones" / name)
            for path in log_files:
                link_durably(path, draft / "log" / path.name)
            for name in FOLDERS:
                sync_folder(draft / name)
            manifest.save(draft)
            draft.rename(target)
            sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _link_files(source: Path, target: Path, folder: str) -> None:
    (target / folder).mkdir()
    for path in (source / folder).iterdir():
        link_durably(path, target / folder / path.name)
    sync_folder(target / folder)
