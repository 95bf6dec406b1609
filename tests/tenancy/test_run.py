"""`run_as`: one scope, one transaction, one hop; news after the commit; a pool that stays whole."""

import asyncio
import json
import threading
import time

import pytest
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection, transaction

from apps.accounts.models import Creator
from shared.tenancy import run
from shared.tenancy.names import group_name
from shared.tenancy.run import ThreadHop, announce, run_as, run_global
from shared.tenancy.scope import NoCreatorInScope, ScopeSwitch, creator_scope, current_creator
from tests.tenancy.tools import pool_of, setting_in_postgres

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("house")]


def add_room(actor, *, name: str):
    from tests.tenancy.house.models import Room

    announce("room.changed", Room.objects.create(name=name).id, chairs=0)
    return name


def fail(actor, **arguments):
    add_room(actor, **arguments)
    raise ZeroDivisionError


def rooms(actor):
    from tests.tenancy.house.models import Room

    return sorted(Room.objects.values_list("name", flat=True))


def test_a_service_runs_in_its_actors_scope_in_a_transaction_on_a_database_thread(two):
    def service(actor, *, flag: str):
        return actor, flag, current_creator(), connection.in_atomic_block, threading.current_thread().name

    async def main():
        answer = await run_as(two.alice, service, flag="x")
        return answer, current_creator()

    (actor, flag, creator, atomic, thread), after = asyncio.run(main())
    assert (actor, flag, creator, atomic) == (two.alice, "x", two.alice.creator_id, True)
    assert thread.startswith("database")
    assert after is None


def test_what_runs_on_commit_still_has_the_scope(two):
    seen = []

    def service(actor):
        transaction.on_commit(lambda: seen.append(current_creator()))

    asyncio.run(run_as(two.alice, service))
    assert seen == [two.alice.creator_id]


def test_a_service_that_fails_leaves_nothing(two):
    with pytest.raises(ZeroDivisionError):
        asyncio.run(run_as(two.alice, fail, name="hall"))
    assert asyncio.run(run_as(two.alice, rooms)) == []


def test_one_actor_inside_anothers_scope_is_refused(two):
    async def main():
        with creator_scope(two.alice.creator_id):
            await run_as(two.mallory, rooms)

    with pytest.raises(ScopeSwitch):
        asyncio.run(main())


def test_a_service_of_nobody_reaches_global_tables_only(two, house):
    assert asyncio.run(run_global(lambda: Creator.objects.count())) == 2
    assert asyncio.run(run_global(setting_in_postgres)) == ""
    with pytest.raises(NoCreatorInScope):
        asyncio.run(run_global(lambda: house.Room.objects.count()))


def test_an_async_service_is_not_run_by_mistake(two):
    async def service(actor):
        return 1

    with pytest.raises(TypeError):
        asyncio.run(run_as(two.alice, service))


async def _heard(actor, work) -> list[dict]:
    """The events that Acme's pages hear while `work` runs."""
    layer = get_channel_layer()
    channel = await layer.new_channel()
    with creator_scope(actor.creator_id):
        await layer.group_add(group_name("events"), channel)
    heard = []
    try:
        await work()
        while True:
            async with asyncio.timeout(0.5):
                heard += [json.loads(text) for _, text in (await layer.receive(channel))["events"]]
    except TimeoutError:
        return heard
    finally:
        await layer.close_pools() if hasattr(layer, "close_pools") else await layer.flush()


def test_news_goes_to_the_creators_own_group_once_the_rows_are_there(two):
    async def work():
        await run_as(two.alice, add_room, name="hall")
        await run_as(two.mallory, add_room, name="den")

    (event,) = asyncio.run(_heard(two.alice, work))
    assert set(event) == {"seq", "type", "id", "at", "data"}
    assert (event["type"], event["data"]) == ("room.changed", {"chairs": 0})


def test_a_service_that_fails_announces_nothing(two):
    async def work():
        with pytest.raises(ZeroDivisionError):
            await run_as(two.alice, fail, name="hall")

    assert asyncio.run(_heard(two.alice, work)) == []


def test_announcing_outside_a_service_is_an_error(two):
    with pytest.raises(RuntimeError, match="run_as"):
        announce("room.changed", two.alice.creator_id)


def test_news_that_nobody_can_carry_is_dropped_and_the_write_stands(two, monkeypatch):
    class Dead:
        async def group_send(self, *_):
            raise ConnectionError

    monkeypatch.setattr(run, "get_channel_layer", Dead)
    assert asyncio.run(run_as(two.alice, add_room, name="hall")) == "hall"
    assert asyncio.run(run_as(two.alice, rooms)) == ["hall"]


def test_news_that_takes_too_long_is_dropped_and_the_write_stands(two, monkeypatch):
    class Slow:
        async def group_send(self, *_):
            await asyncio.sleep(60)

    monkeypatch.setattr(run, "get_channel_layer", Slow)
    monkeypatch.setattr(run, "_TELL_SECONDS", 0.05)
    assert asyncio.run(run_as(two.alice, add_room, name="hall")) == "hall"


def test_forty_cancelled_calls_leave_the_pool_whole(two):
    """A client that goes away cancels the wait, not the work; each connection finds its way back."""

    def slow(actor):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.02)")

    async def main():
        tasks = [asyncio.create_task(run_as(two.alice, slow)) for _ in range(40)]
        for number, task in enumerate(tasks):
            if number % 3 == 0:
                await asyncio.sleep(0.005)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [await run_as(two.alice, setting_in_postgres_of) for _ in range(6)]

    def setting_in_postgres_of(actor):
        return setting_in_postgres()

    with pool_of(2):
        run.use_hop(ThreadHop(4, queue=300, patience=30))
        assert set(asyncio.run(main())) == {str(two.alice.creator_id)}
        assert _connections_out() == 0


def test_what_was_running_when_its_client_left_commits(two):
    started = threading.Event()

    def slow(actor):
        started.set()
        time.sleep(0.1)
        return add_room(actor, name="hall")

    async def main():
        task = asyncio.create_task(run_as(two.alice, slow))
        await asyncio.to_thread(started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    for _ in range(100):
        if asyncio.run(run_as(two.alice, rooms)) == ["hall"]:
            return
        time.sleep(0.02)
    pytest.fail("the row was lost")


def test_the_default_hop_has_as_many_threads_as_configured(two):
    run.use_hop(None)
    assert run.database_hop() is run.database_hop()
    assert run.database_hop()._pool._max_workers == settings.DATABASE_THREADS


def _connections_out() -> int:
    """How many connections of the pool are in somebody's hands, once those on their way back have arrived."""
    for _ in range(100):
        stats = connection.pool.get_stats()
        out = stats["pool_size"] - stats["pool_available"]
        if not out:
            return 0
        time.sleep(0.02)
    return out
