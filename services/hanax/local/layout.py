"""Where the local stack keeps what: one directory, owned by one supervisor at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from hanax.core.settings import LocalSettings


@dataclass(frozen=True)
class Layout:
    """`root` is absolute, so that services may run anywhere."""

    root: Path

    @classmethod
    def at(cls, data_dir: Path) -> Layout:
        return cls(data_dir.expanduser().resolve())

    @property
    def routing_file(self) -> Path:
        return self.root / "routing.json"

    @property
    def catalog(self) -> Path:
        return self.root / "catalog"

    @property
    def shards(self) -> Path:
        """One folder per index-shard process, each of which owns its own alone."""
        return self.root / "shards"

    @property
    def database_file(self) -> Path:
        """Metadata: jobs, libraries, what was done."""
        return self.root / "metadata.db"

    @property
    def jobs(self) -> Path:
        """What jobs were handed, and their results."""
        return self.root / "jobs"

    @property
    def service_key(self) -> Path:
        """What the batch-processor shows the gateways, where callers need keys."""
        return self.root / "service-key"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """What only matters while the stack runs, and the ports that it likes to keep."""
        return self.root / "run"

    @property
    def state_file(self) -> Path:
        return self.run / "stack.json"

    @property
    def lock_file(self) -> Path:
        return self.run / "supervisor.lock"

    def log_of(self, service: str) -> Path:
        return self.logs / f"{service}.log"

    def create(self) -> None:
        """Make the folders. Raises OSError where the directory can't be made or written."""
        for folder in (self.catalog, self.shards, self.logs, self.run):
            folder.mkdir(parents=True, exist_ok=True)


def metadata_variables(settings: LocalSettings, layout: Layout) -> dict[str, str]:
    """Where jobs and libraries are kept, for all who read or write them."""
    url = settings.database_url or f"sqlite:///{quote(str(layout.database_file))}"
    return {"HANAX_DATABASE_URL": url, "HANAX_JOBS_DIR": str(layout.jobs)}
