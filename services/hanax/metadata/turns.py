"""Turns: transactions that take one come one after another, in place of getting into each other's way.

They are `Database.run_by_locks`, and take it before anything is read that it guards. SQLite has one writer
at a time anyway.
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Turn(IntEnum):
    """Any numbers that nobody else in this database locks by."""

    STARTING_JOBS = 0x68616E61_6A6F6273
    SUBMITTING_REEMBED = 0x68616E61_6A6F6274
    CHANGING_KEYS = 0x68616E61_6B657973


async def take_turn(connection: AsyncConnection, turn: Turn) -> None:
    """Nobody else has it until the transaction ends."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": int(turn)})
