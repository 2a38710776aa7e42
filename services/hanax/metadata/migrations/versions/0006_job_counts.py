"""How many jobs there are of each state, kept by triggers: changes of any version of the code are counted.

On PostgreSQL a trigger waits for the commit, and adds to the part of its connection. So connections seldom
meet, and then one waits for the other's commit alone; and as a transaction takes one part, and nothing after
it, no two wait for each other. SQLite has one writer, and one part. A later migration that copies `jobs`
there (batch_alter_table) has to make the triggers again.

What is written here stays: a database that has run it never sees it again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_job_counts"
down_revision = "0005_api_keys"
branch_labels = None
depends_on = None

_STATES = ("queued", "running", "paused", "succeeded", "partial", "failed", "cancelled")
_COLUMNS = (*_STATES, "tasks")
_PARTS = 16

_ADDED, _REMOVED = ("+", "NEW"), ("-", "OLD")


def upgrade() -> None:
    counts = op.create_table(
        "job_counts",
        sa.Column("part", sa.Integer, autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COLUMNS),
        sa.PrimaryKeyConstraint("part", name="pk_job_counts"),
    )
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    parts = _PARTS if on_postgresql else 1
    op.bulk_insert(counts, [{"part": part, **dict.fromkeys(_COLUMNS, 0)} for part in range(parts)])
    # First: from then on nobody changes a job until this transaction ends.
    (_follow_on_postgresql if on_postgresql else _follow_on_sqlite)()
    sums = ", ".join(f"{name} = (SELECT coalesce(sum({_share(name)}), 0) FROM jobs)" for name in _COLUMNS)
    op.execute(f"UPDATE job_counts SET {sums} WHERE part = 0")


def _follow_on_postgresql() -> None:
    change = _change(f"pg_backend_pid() % {_PARTS}", _ADDED, _REMOVED)
    op.execute(
        "CREATE FUNCTION count_jobs() RETURNS trigger LANGUAGE plpgsql AS "
        f"'BEGIN {change.replace(chr(39), chr(39) * 2)}; RETURN NULL; END'"
    )
    op.execute(
        "CREATE CONSTRAINT TRIGGER count_jobs AFTER INSERT OR DELETE OR UPDATE OF state, tasks_open ON jobs "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_jobs()"
    )


def _follow_on_sqlite() -> None:
    for name, event, rows in (
        ("inserted", "INSERT", [_ADDED]),
        ("changed", "UPDATE OF state, tasks_open", [_ADDED, _REMOVED]),
        ("deleted", "DELETE", [_REMOVED]),
    ):
        op.execute(f"CREATE TRIGGER count_{name}_jobs AFTER {event} ON jobs BEGIN {_change('0', *rows)}; END")


def _change(part: str, *rows: tuple[str, str]) -> str:
    """rows: sign and name of those that are in or out from now on. One that is not there is NULL."""
    sets = (
        f"{name} = {name} " + " ".join(f"{sign} {_share(name, f'{row}.')}" for sign, row in rows)
        for name in _COLUMNS
    )
    return f"UPDATE job_counts SET {', '.join(sets)} WHERE part = {part}"


def _share(name: str, row: str = "") -> str:
    """What a row of jobs adds to a column."""
    if name != "tasks":
        return f"CASE WHEN {row}state = '{name}' THEN 1 ELSE 0 END"
    # When no task is left there is the job's finish.
    tasks = f"CASE WHEN {row}tasks_open = 0 THEN 1 ELSE {row}tasks_open END"
    return f"CASE WHEN {row}state IN ('queued', 'running') THEN {tasks} ELSE 0 END"
