"""A creator's events: numbered in the order of the commits, stored with what they tell of, and read again.

No number is missing, none stands twice, and nobody ever sees one before those below it. See
docs/decisions/0009-events.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection
from django.utils import timezone

from shared.exceptions import ValidationFailed
from shared.tenancy.ids import uuid7
from shared.tenancy.models import EventCounter
from shared.tenancy.reads import ask
from shared.tenancy.scope import creator_scope, require_creator

# What a client gets that cannot be told all it has missed.
RELOAD = "reload"
# Events that are read in one message.
PAGE = 200
# How often old ones are looked for: at every number that this divides.
_TRIM_EVERY = 100
_GREATEST = 2**63 - 1


class EventNumberInvalid(ValidationFailed):
    """The number of the last event is a whole number, 0 or greater."""

    code = "event_number_invalid"


def event_number(value: object) -> int | None:
    """The number of the last event as a client says it, as an `int` or as digits; None for None.

    Raises `EventNumberInvalid` (422).
    """
    if isinstance(value, str) and len(value) <= len(str(_GREATEST)) and value.isascii() and value.isdigit():
        value = int(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _GREATEST:
        raise EventNumberInvalid
    return value


@dataclass(frozen=True, slots=True)
class News:
    """What a service announces. `data` is the text of a JSON object: ids, states and numbers."""

    kind: str
    subject: UUID
    at: datetime
    data: str


class Envelope(NamedTuple):
    """An event as clients get it: `text` is `{"seq", "type", "id", "at", "data"}` as JSON, on one line."""

    seq: int
    text: str
    is_reload: bool = False


def _envelope(seq: int, kind: str, subject: UUID | None, at: datetime, data: str) -> Envelope:
    parts = {"seq": seq, "type": kind, "id": subject, "at": at, "data": orjson.Fragment(data)}
    return Envelope(seq, orjson.dumps(parts, option=orjson.OPT_UTC_Z).decode(), kind == RELOAD)


# ---- Storing

# The deferred keys first: nothing may be waited for while the counter is held. Then deferred again, as the transaction
# found them: in a test it goes on.
_STORE = """
SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED;
WITH counted AS (
    INSERT INTO tenancy_eventcounter AS counter (creator_id, id, last)
    VALUES (%(creator)s, %(id)s, %(count)s)
        ON CONFLICT (creator_id) DO UPDATE SET last = counter.last + excluded.last
    RETURNING last
), stored AS (
    INSERT INTO tenancy_event (creator_id, id, seq, type, subject, at, data)
    SELECT %(creator)s, news.id, counted.last - %(count)s + news.place, news.kind, news.subject, news.at, news.data
      FROM counted, jsonb_to_recordset(%(news)s::jsonb)
           AS news (place int, id uuid, kind text, subject uuid, at timestamptz, data text)
)
SELECT last FROM counted
"""
_TRIM = "DELETE FROM tenancy_event WHERE creator_id = %s AND seq <= %s"


def store_events(news: Sequence[News]) -> list[Envelope]:
    """Give news their numbers and store them, as the last thing in a transaction: its end lets the next one count.

    The counter is held from here to the COMMIT, so numbers are in the order of commits, and a rollback takes its
    numbers back. Of the creator's events EVENTS_KEPT stay, and at most a hundred more.
    """
    rows = [
        {"place": place, "id": uuid7(), "kind": one.kind, "subject": one.subject, "at": one.at, "data": one.data}
        for place, one in enumerate(news, start=1)
    ]
    values: dict[str, Any] = {
        "creator": require_creator(),
        "id": uuid7(),
        "count": len(news),
        "news": orjson.dumps(rows).decode(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_STORE, values)
        cursor.set_result(-1)
        (last,) = cursor.fetchone()
        if last % _TRIM_EVERY < len(news):
            cursor.execute(_TRIM, [require_creator(), last - settings.EVENTS_KEPT])
    first = last - len(news) + 1
    return [_envelope(seq, one.kind, one.subject, one.at, one.data) for seq, one in enumerate(news, start=first)]


# ---- Reading

_READ = """
SELECT counter.last, event.seq, event.type, event.subject, event.at, event.data
  FROM tenancy_eventcounter AS counter
  LEFT JOIN LATERAL (
       SELECT seq, type, subject, at, data FROM tenancy_event
        WHERE creator_id = %(creator)s AND seq > %(after)s ORDER BY seq LIMIT %(limit)s
       ) AS event ON true
 WHERE counter.creator_id = %(creator)s
 ORDER BY event.seq
"""


async def read_events(creator_id: UUID, *, after: int) -> list[Envelope]:
    """A creator's events after a number, in order and without a gap: the next PAGE of them, or none.

    One `reload` instead, under the newest number, when events after that number have been trimmed, or when it has
    never been given: it came from another database, or from before a backup was restored. One message to Postgres.
    """
    rows = await _read(creator_id, after, PAGE)
    newest = rows[0][0] if rows else 0
    if newest == after:
        return []
    events = [_envelope(*row[1:]) for row in rows if row[1] is not None]
    if not events or events[0].seq != after + 1:
        return [_envelope(newest, RELOAD, None, timezone.now(), "{}")]
    return events


async def newest_seq(creator_id: UUID) -> int:
    """The number of a creator's newest event, 0 before the first. One message to Postgres."""
    rows = await _read(creator_id, _GREATEST, 0)
    return rows[0][0] if rows else 0


def newest_seq_in_transaction() -> int:
    """The same, inside a service. Whoever reads rows after it has seen all that events up to it tell of."""
    return EventCounter.objects.values_list("last", flat=True).first() or 0


async def _read(creator_id: UUID, after: int, limit: int) -> list[Any]:
    with creator_scope(creator_id):
        (rows,) = await ask(_READ, {"creator": creator_id, "after": after, "limit": limit})
    return rows
