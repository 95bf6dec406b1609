"""What waits to be written: bounded, batched, not lost on the way, and nobody's answer waits for it."""

import asyncio
import time
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.db import OperationalError
from django.utils import timezone
from structlog.testing import capture_logs

from apps.knowledge import search_log as module
from apps.knowledge.errors import SearchNotFound
from apps.knowledge.search_log import SearchLog, record_click
from apps.knowledge.services.asked import Asked, Opened
from shared.exceptions import DatabaseBusy
from shared.tenancy.ids import made_at, uuid7
from shared.tenancy.scope import creator_scope, current_creator

ACME, UMBRELLA = UUID(int=1), UUID(int=2)
SECONDS = 20


def asked(query="refunds"):
    return Asked(uuid7(), query, (), True, 1, timezone.now())


class Written:
    """Stands in for the database: keeps what was written, in batches."""

    def __init__(self):
        self.batches = []
        self.scopes = []
        self.failures = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, actor, service, *, searches):
        self.scopes.append(current_creator())
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append((actor.creator_id, [one.query for one in searches]))


@pytest.fixture
async def written(monkeypatch):
    own = Written()
    monkeypatch.setattr(module, "run_as", own)
    monkeypatch.setattr(module, "WRITE_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)
    return own


@pytest.fixture
def log(written):
    return SearchLog()


async def until(happens):
    async with asyncio.timeout(SECONDS):
        while not happens():
            await asyncio.sleep(0.002)


# ---- Written by itself


async def test_what_waits_is_written_soon_each_creators_in_one_batch(log, written):
    for creator_id, query in ((ACME, "a"), (UMBRELLA, "u"), (ACME, "b")):
        log.add(creator_id, asked(query))

    await until(lambda: len(written.batches) == 2)

    assert written.batches == [(ACME, ["a", "b"]), (UMBRELLA, ["u"])]


def test_that_is_within_about_a_second():
    assert module.WRITE_EVERY_SECONDS <= 1


async def test_the_writer_ends_when_nothing_waits_and_begins_again(log, written):
    log.add(ACME, asked("a"))
    await until(lambda: log._writer.done())
    log.add(ACME, asked("b"))
    await until(lambda: log._writer.done())

    assert written.batches == [(ACME, ["a"]), (ACME, ["b"])]


async def test_it_writes_in_nobodys_name_who_happened_to_ask(log, written):
    """A page asks in its creator's scope, which the others' searches must not be written in."""
    with creator_scope(ACME):
        log.add(ACME, asked())
    with creator_scope(UMBRELLA):
        log.add(UMBRELLA, asked())

    await until(lambda: len(written.batches) == 2)

    assert written.scopes == [None, None]


async def test_asking_waits_for_nothing(log, written):
    written.gate.clear()
    began = time.perf_counter()
    for _ in range(500):
        log.add(ACME, asked())

    assert time.perf_counter() - began < 1
    assert written.batches == []


# ---- Written at once


async def test_whoever_needs_them_there_has_them_written(log, written):
    log.add(ACME, asked("a"))
    log.add(UMBRELLA, asked("u"))

    assert await log.write(ACME)

    assert written.batches == [(ACME, ["a"])]
    assert await log.write(ACME)  # nothing waits
    assert written.batches == [(ACME, ["a"])]


async def test_what_is_being_written_is_waited_for_and_so_is_what_came_since(log, written):
    written.gate.clear()
    log.add(ACME, asked("a"))
    first = asyncio.create_task(log.write(ACME))
    await until(lambda: written.scopes)
    log.add(ACME, asked("b"))
    both = [asyncio.create_task(log.write(ACME)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in both)

    written.gate.set()
    await asyncio.gather(first, *both)

    assert written.batches == [(ACME, ["a"]), (ACME, ["b"])]


async def test_one_who_leaves_takes_nothing_along(log, written):
    written.gate.clear()
    log.add(ACME, asked("a"))
    waiting = asyncio.create_task(log.write(ACME))
    await until(lambda: written.scopes)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    written.gate.set()
    await until(lambda: written.batches)
    assert len(written.scopes) == 1  # the very batch that was being written


# ---- Bounded


async def test_one_creators_flood_is_dropped_and_counted_and_leaves_room_for_others(log, written, monkeypatch):
    monkeypatch.setattr(module, "MOST_OF_A_CREATOR", 3)
    for number in range(10):
        log.add(ACME, asked(str(number)))
    log.add(UMBRELLA, asked("u"))

    with capture_logs() as lines:
        await until(lambda: len(written.batches) == 2)

    assert written.batches == [(ACME, ["0", "1", "2"]), (UMBRELLA, ["u"])]
    assert [(line["event"], line["count"]) for line in lines] == [("searches_dropped", 7)]


async def test_what_waits_of_all_creators_is_bounded_too_what_is_being_written_included(log, written, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 5)
    written.gate.clear()
    for number in range(3):
        log.add(UUID(int=number), asked())
    await until(lambda: written.scopes)
    for number in range(10):
        log.add(UUID(int=number), asked())

    assert sum(map(len, log._waiting.values())) == 4
    with capture_logs() as lines:
        written.gate.set()
        await until(lambda: log._writer.done())
    assert sum(len(batch) for _, batch in written.batches) == 5
    assert [line["count"] for line in lines] == [8]
    assert log._held == 0


async def test_what_was_dropped_is_told_even_when_nothing_waits_any_more(log, written, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 0)
    with capture_logs() as lines:
        log.add(ACME, asked())
        await until(lambda: log._writer.done())

    assert [line["event"] for line in lines] == ["searches_dropped"]


# ---- When the database will not


@pytest.mark.parametrize("error", [DatabaseBusy(), OperationalError("away")], ids=["busy", "away"])
async def test_while_the_database_is_away_they_wait_and_are_written_in_their_order_afterwards(log, written, error):
    written.failures = [error]
    written.gate.clear()
    log.add(ACME, asked("a"))
    with capture_logs() as lines:
        writing = asyncio.create_task(log.write(ACME))
        await until(lambda: written.scopes)
        log.add(ACME, asked("b"))
        written.gate.set()
        assert not await writing
        await until(lambda: written.batches)

    assert written.batches == [(ACME, ["a", "b"])]
    assert [line["event"] for line in lines] == ["searches_wait"]


async def test_the_writer_rests_when_the_database_is_away_instead_of_asking_for_each_creator(log, written, monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", 3600)
    written.failures = [DatabaseBusy(), DatabaseBusy()]
    for creator_id in (ACME, UMBRELLA):
        log.add(creator_id, asked())
    await until(lambda: len(written.failures) == 1)
    await asyncio.sleep(0.05)

    assert len(written.failures) == 1
    assert not log._writer.done()
    log._writer.cancel()


async def test_what_can_never_be_written_is_given_up_and_told(log, written):
    written.failures = [ValueError("its creator is gone")]
    log.add(ACME, asked("secret words"))
    with capture_logs() as lines:
        assert await log.write(ACME)

    assert written.batches == []
    assert log._held == 0
    told = next(line for line in lines if line["event"] == "searches_not_written")
    assert (told["count"], told["creator_id"]) == (1, str(ACME))
    assert "secret words" not in str([{**line, "exc_info": None} for line in lines])


async def test_a_loop_that_ends_in_the_middle_leaves_them_waiting(log, written):
    written.gate.clear()
    log.add(ACME, asked("a"))
    waiting = asyncio.create_task(log.write(ACME))
    await until(lambda: written.scopes)
    log._writing[ACME].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    written.gate.set()
    assert await log.write(ACME)
    assert written.batches == [(ACME, ["a"])]


# ---- The end of the process


async def test_the_end_writes_all_that_waits_and_what_is_being_written(log, written, settings):
    settings.DATABASE_THREADS = 2
    written.gate.clear()
    for number in range(5):
        log.add(UUID(int=number), asked(str(number)))
    under_way = asyncio.create_task(log.write(UUID(int=0)))
    await until(lambda: written.scopes)

    with capture_logs() as lines:
        closing = asyncio.create_task(log.close())
        await asyncio.sleep(0)
        written.gate.set()
        await closing

    assert sorted(query for _, (query,) in written.batches) == ["0", "1", "2", "3", "4"]
    assert lines == []
    assert await under_way
    assert log._writer.cancelled()


async def test_the_end_waits_for_what_is_being_written_where_nothing_else_waits(log, written):
    written.gate.clear()
    log.add(ACME, asked("a"))
    under_way = asyncio.create_task(log.write(ACME))
    await until(lambda: written.scopes)

    closing = asyncio.create_task(log.close())
    await asyncio.sleep(0.02)
    assert not closing.done()
    written.gate.set()
    await closing

    assert written.batches == [(ACME, ["a"])]
    assert await under_way


async def test_an_end_without_searches_is_quiet(log):
    with capture_logs() as lines:
        await log.close()

    assert lines == []


async def test_the_end_does_not_wait_for_ever_and_says_what_was_lost(log, written, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    written.gate.clear()
    for creator_id in (ACME, ACME, UMBRELLA):
        log.add(creator_id, asked())

    with capture_logs() as lines:
        await log.close()

    assert [(line["event"], line["count"]) for line in lines] == [("searches_lost", 3)]


# ---- A click that comes first


class LateRow:
    """Stands in for the database of two web processes: the other one writes the search at the given look."""

    def __init__(self, looks):
        self.looks = looks

    async def __call__(self, who, service, **arguments):
        self.looks -= 1
        if self.looks > 0:
            raise SearchNotFound


@pytest.fixture
def anybody():
    return SimpleNamespace(creator_id=ACME)


async def test_a_click_waits_for_a_search_that_another_process_has_yet_to_write(monkeypatch, anybody):
    late = LateRow(looks=3)
    monkeypatch.setattr(module, "run_as", late)
    monkeypatch.setattr(module, "_LOOK_AGAIN_SECONDS", 0.01)

    await record_click(anybody, uuid7(), Opened(uuid7()))

    assert late.looks == 0


async def test_a_click_on_what_never_comes_is_refused_in_the_end(monkeypatch, anybody):
    monkeypatch.setattr(module, "run_as", LateRow(looks=1000))
    monkeypatch.setattr(module, "_LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(module, "UNWRITTEN_SECONDS", 0.05)

    with pytest.raises(SearchNotFound):
        await record_click(anybody, uuid7(), Opened(uuid7()))


@pytest.mark.parametrize("old", [UUID(int=0), UUID("00000000-0000-4000-8000-000000000000"), "minutes", "future", "off"])
async def test_a_click_on_an_id_that_no_process_can_have_made_just_now_waits_for_nothing(
    monkeypatch, settings, anybody, old
):
    late = LateRow(looks=1000)
    monkeypatch.setattr(module, "run_as", late)
    if old == "off":
        settings.SEARCHES_KEPT_DAYS = 0
    shift = {"minutes": -300_000, "future": 300_000}.get(old, 0) << 80
    search_id = old if isinstance(old, UUID) else UUID(int=uuid7().int + shift)

    with pytest.raises(SearchNotFound):
        await record_click(anybody, search_id, Opened(uuid7()))

    assert late.looks == 999


def test_an_id_says_when_it_was_made():
    assert abs(made_at(uuid7()) - time.time()) < 1
    assert made_at(UUID("00000000-0000-4000-8000-000000000000")) is None
