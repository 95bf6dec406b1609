"""Every transaction that wrote in a creator's scope counts that creator's revision up by one, and no other does."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from django.contrib import admin
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from psycopg import sql

from apps.accounts.models import Creator
from apps.knowledge.models import Document
from shared.tenancy.ids import uuid7
from shared.tenancy.models import Revision
from shared.tenancy.run import run_as
from shared.tenancy.scope import creator_scope
from shared.tenancy.tasks import tenant_task
from tests.tenancy.tools import bind, connect, left_behind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("house")]

SECONDS = 20


@pytest.fixture
def room(two, house):
    """A room of Alice's, whose revision is 1."""
    with creator_scope(two.alice.creator_id), transaction.atomic():
        return house.Room.objects.create(name="hall")


def revision(actor):
    with creator_scope(actor.creator_id):
        return Revision.objects.values_list("number", flat=True).first() or 0


def execute(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def executemany(room):
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE house_room SET name = %s", [("a",), ("b",)])


def save(room, **options):
    room.name = "saved"
    room.save(**options)


def create_many(room):
    type(room).objects.bulk_create([type(room)(name=str(number)) for number in range(3)])


WRITES = {
    "create": lambda room: type(room).objects.create(name="attic"),
    "save": save,
    "save of some fields": lambda room: save(room, update_fields=["name"]),
    "update": lambda room: type(room).objects.update(name="updated"),
    "delete": lambda room: room.delete(),
    "delete of many": lambda room: type(room).objects.all().delete(),
    "bulk_create": create_many,
    "bulk_update": lambda room: type(room).objects.bulk_update([room], ["name"]),
    "get_or_create": lambda room: type(room).objects.get_or_create(name="attic"),
    "SQL": lambda room: execute("UPDATE house_room SET name = %s", "raw"),
    "composed SQL": lambda room: execute(sql.SQL("UPDATE {} SET name = 'x'").format(sql.Identifier("house_room"))),
    "executemany": executemany,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_every_way_to_write_counts_one_for_its_transaction(two, room, write):
    assert (revision(two.alice), revision(two.mallory)) == (1, 0)
    with creator_scope(two.alice.creator_id), transaction.atomic():
        write(room)

    assert (revision(two.alice), revision(two.mallory)) == (2, 0)
    assert left_behind() == ""


READS = {
    "nothing": lambda room: None,
    "rows": lambda room: list(type(room).objects.all()),
    "SQL": lambda room: execute("SELECT count(*) FROM house_room"),
    "get_or_create of what is there": lambda room: type(room).objects.get_or_create(name="hall"),
    "a savepoint": lambda room: in_savepoint(room),
}


def in_savepoint(room):
    with transaction.atomic():
        type(room).objects.count()


WRITES_BESIDE = {
    "create": lambda room: type(room).objects.create(name="attic"),
    "update": lambda room: type(room).objects.update(name="attic"),
    "save": lambda room: room.save(update_fields=["name"]),
    "raw SQL that ends in a comment": lambda room: execute("UPDATE house_room SET name = 'attic' -- all of them"),
}


@pytest.mark.parametrize("write", WRITES_BESIDE.values(), ids=WRITES_BESIDE)
def test_a_write_outside_a_transaction_counts_as_well_and_a_read_does_not(two, room, write):
    with creator_scope(two.alice.creator_id):
        write(room)
        assert type(room).objects.filter(id=room.id).count() == 1
    assert revision(two.alice) == 2


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_transaction_that_only_read_counts_nothing(two, room, read):
    with creator_scope(two.alice.creator_id), transaction.atomic():
        read(room)

    assert revision(two.alice) == 1


def test_a_transaction_that_was_rolled_back_counts_nothing(two, room):
    with creator_scope(two.alice.creator_id):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            save(room)
            raise ZeroDivisionError
        with transaction.atomic():
            save(room)
            transaction.set_rollback(True)

    assert revision(two.alice) == 1


def break_in_savepoint(room):
    with pytest.raises(IntegrityError), transaction.atomic():
        type(room).objects.create(name=room.name)


@pytest.mark.parametrize("first", ["the write", "the savepoint"])
def test_a_savepoint_that_was_rolled_back_leaves_the_count_of_what_was_written_beside_it(two, room, first):
    steps = [lambda: type(room).objects.create(name="kept"), lambda: break_in_savepoint(room)]
    with creator_scope(two.alice.creator_id), transaction.atomic():
        for step in steps if first == "the write" else reversed(steps):
            step()

    assert revision(two.alice) == 2
    with creator_scope(two.alice.creator_id):
        assert sorted(type(room).objects.values_list("name", flat=True)) == ["hall", "kept"]


@pytest.mark.parametrize("after", [lambda: None, Creator.objects.count], ids=["nothing", "nobody's statement"])
def test_a_transaction_that_outlives_the_scope_still_counts_for_its_creator(two, room, after):
    with transaction.atomic():
        with creator_scope(two.alice.creator_id):
            save(room)
        after()

    assert (revision(two.alice), revision(two.mallory)) == (2, 0)
    assert left_behind() == ""


def test_each_creator_has_a_count_of_their_own(two, house):
    for actor in (two.alice, two.mallory, two.alice, two.alice):
        with creator_scope(actor.creator_id), transaction.atomic():
            house.Room.objects.create(name=str(uuid7()))

    assert (revision(two.alice), revision(two.mallory)) == (3, 1)


@pytest.mark.django_db
def test_in_a_test_that_is_rolled_back_the_end_of_the_outermost_block_counts(two, house):
    for _ in range(2):
        with creator_scope(two.alice.creator_id), transaction.atomic(), transaction.atomic():
            house.Room.objects.create(name=str(uuid7()))

    assert (revision(two.alice), revision(two.mallory)) == (2, 0)


# ---- Doors


@tenant_task("tests.add_room")
async def add_room(actor, *, name):
    """A job that writes."""

    def service(actor):
        from tests.tenancy.house.models import Room

        Room.objects.create(name=name)

    await run_as(actor, service)


def test_a_job_counts(two, room):
    asyncio.run(add_room.run(actor=two.alice.to_job(), name="attic"))

    assert (revision(two.alice), revision(two.mallory)) == (2, 0)


def test_what_staff_change_counts_once_together_with_its_entry_in_the_log(client, staff, alice, mallory, monkeypatch):
    site = admin.site._registry[Document]
    monkeypatch.setattr(site, "read_only", False)
    monkeypatch.setattr(site, "fields", ("title",), raising=False)
    with creator_scope(alice.creator.id), transaction.atomic():
        handbook = Document.objects.create(title="Handbook", filename="a.pdf", bytes=1)
    desk = staff.browse(client)
    desk.post(reverse("admin:act_as", args=[alice.creator.id]), {"reason": "Ticket 4711"})
    before = revision(alice.actor)

    changed = desk.post(reverse("admin:knowledge_document_change", args=[handbook.id]), {"title": "Renamed"})

    assert changed.status_code == 302
    assert (revision(alice.actor), revision(mallory.actor)) == (before + 1, 0)


# ---- Commits that are difficult


def test_a_creator_can_be_erased_with_everything_in_one_transaction(two, room):
    with creator_scope(two.alice.creator_id), transaction.atomic():
        room.delete()
        Revision.objects.all().delete()
        Creator.objects.get(id=two.alice.creator_id).delete()

    assert revision(two.alice) == 0
    assert [creator.id for creator in Creator.objects.all()] == [two.mallory.creator_id]


def server():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()


def test_a_key_that_points_at_nothing_is_refused_at_commit_and_the_connection_goes_on(two, room, house):
    before = server()
    with creator_scope(two.alice.creator_id):
        with pytest.raises(IntegrityError), transaction.atomic():
            house.Chair.objects.create(room_id=uuid7(), label="red")
            assert house.Chair.objects.count() == 1
        assert (house.Chair.objects.count(), revision(two.alice)) == (0, 1)
        with transaction.atomic():
            house.Chair.objects.create(room=room, label="red")

    assert revision(two.alice) == 2
    assert server() == before
    assert left_behind() == ""


# ---- Two at once


def in_thread(pool, actor, work):
    def call():
        try:
            with creator_scope(actor.creator_id), transaction.atomic():
                work()
        finally:
            connection.close()

    return pool.submit(call)


def until_they_wait(writers, count=1):
    """Return when so many sessions wait for another one."""
    waits = """
        SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND pg_blocking_pids(pid) <> '{}'
    """
    with connect(autocommit=True) as watcher:
        while watcher.execute(waits).fetchone() != (count,):
            assert not wait(writers, timeout=0.005).done


def test_nobody_who_writes_waits_for_another_transaction_of_the_creators_before_the_commit(two, house):
    together = threading.Barrier(3)

    def write(name):
        for part in ("before", "after"):
            house.Room.objects.create(name=f"{name} {part}")
            together.wait(SECONDS)  # all have written, and none has committed

    with ThreadPoolExecutor(3) as pool:
        for writer in [in_thread(pool, two.alice, lambda name=name: write(name)) for name in "abc"]:
            writer.result(SECONDS)

    assert revision(two.alice) == 3


def test_transactions_that_commit_at_the_same_moment_all_count(two, room, house):
    with ThreadPoolExecutor(3) as pool:
        with connect() as other:
            bind(other, two.alice.creator_id)
            other.execute("SELECT number FROM tenancy_revision FOR UPDATE")
            writers = [
                in_thread(pool, two.alice, lambda name=name: house.Room.objects.create(name=name)) for name in "abc"
            ]
            until_they_wait(writers, 3)
        for writer in writers:
            writer.result(SECONDS)

    assert revision(two.alice) == 4


def test_who_waits_for_a_row_at_commit_does_not_hold_the_count(two, room, house):
    """The check of a deferred key waits for the room, whose holder is still to count."""
    with ThreadPoolExecutor(1) as pool:
        with creator_scope(two.alice.creator_id), transaction.atomic():
            house.Room.objects.lock(room.id)
            save(room)
            waiting = in_thread(pool, two.alice, lambda: house.Chair.objects.create(room=room, label="red"))
            until_they_wait([waiting])
        waiting.result(SECONDS)

    assert revision(two.alice) == 3
