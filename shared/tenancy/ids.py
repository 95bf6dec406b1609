"""Row ids, made by the hub and never by a client."""

import os
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_latest = 0  # the last 74 + 48 bits handed out: milliseconds, then the counter


def uuid7() -> UUID:
    """A UUIDv7: later ids sort after earlier ones, also within one millisecond of one process.

    Neither Python 3.13 nor Postgres 17 makes them. RFC 9562, section 6.2, method 2: the 74 random bits
    are re-drawn each millisecond and stepped by a random amount within it, so a neighbour's id stays
    hard to guess. A clock that steps back does not: the last millisecond is used on.
    """
    global _latest
    drawn = int.from_bytes(os.urandom(10)) >> 6
    with _lock:
        candidate = ((time.time_ns() // 1_000_000) << 74) | drawn
        if candidate >> 74 <= _latest >> 74:
            # 42 bits a step leave room for four thousand million ids a millisecond before the counter
            # runs over into the next one, which keeps the order too.
            candidate = _latest + 1 + (drawn >> 32)
        _latest = candidate
    milliseconds, random_bits = candidate >> 74, candidate & ((1 << 74) - 1)
    high, low = random_bits >> 62, random_bits & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low)


def made_at(row_id: UUID) -> float | None:
    """When an id was made, in seconds since 1970, as it says itself; None for one that is no UUIDv7."""
    return (row_id.int >> 80) / 1000 if row_id.version == 7 else None
