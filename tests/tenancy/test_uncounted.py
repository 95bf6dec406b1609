"""What the hub writes about a creator without changing anything of theirs leaves the revision where it is."""

import pytest
from django.db import transaction

from shared.tenancy.reads import Read
from shared.tenancy.scope import creator_scope
from tests.tenancy.test_revisions import break_in_savepoint, execute, executemany, revision, save
from tests.tenancy.tools import bind, connect, left_behind, wire

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("house")]


@pytest.fixture
def room(two, house):
    """A room of Alice's, whose revision is 1."""
    with creator_scope(two.alice.creator_id), transaction.atomic():
        return house.Room.objects.create(name="hall")


def visit(room):
    return room.visits.model.objects.create(room=room)


def visit_many(room):
    model = room.visits.model
    model.objects.bulk_create([model(room=room) for _ in range(3)], ignore_conflicts=True)


UNCOUNTED = {
    "create": visit,
    "create many": visit_many,
    "delete": lambda room: visit(room).delete(),
    "SQL": lambda room: execute("DELETE FROM house_visit"),
    "a read of what counts": lambda room: (visit(room), room.visits.select_related("room").first(), list_rooms(room)),
    "a lock of what counts": lambda room: (type(room).objects.lock(room.id), visit(room)),
    "what counts, undone": lambda room: (visit(room), break_in_savepoint(room)),
    "nothing": lambda room: list(room.visits.model.objects.all()),
}
COUNTED = {
    "both": lambda room: (visit(room), save(room)),
    "the other first": lambda room: (save(room, update_fields=["name"]), visit(room)),
    "SQL": lambda room: (visit(room), execute("UPDATE house_room SET name = 'raw'")),
    "one statement": lambda room: execute(
        "WITH gone AS (DELETE FROM house_visit) UPDATE house_room SET name = 'visited' WHERE id = %s", room.id
    ),
    "many at once": lambda room: (visit(room), executemany(room)),
    "a cascade": lambda room: (visit(room), room.delete()),
    "a savepoint": lambda room: (visit(room), save_in_savepoint(room)),
}


def list_rooms(room):
    return list(type(room).objects.all())


def save_in_savepoint(room):
    with transaction.atomic():
        save(room)


@pytest.mark.parametrize("write", UNCOUNTED.values(), ids=UNCOUNTED)
def test_a_transaction_that_wrote_to_uncounted_tables_alone_leaves_the_revision(two, room, write):
    with creator_scope(two.alice.creator_id), transaction.atomic():
        write(room)

    assert revision(two.alice) == 1
    assert left_behind() == ""


@pytest.mark.parametrize("write", COUNTED.values(), ids=COUNTED)
def test_whatever_else_it_wrote_is_counted(two, room, write):
    with creator_scope(two.alice.creator_id), transaction.atomic():
        write(room)

    assert revision(two.alice) == 2


@pytest.mark.parametrize(
    ("write", "counted"),
    [
        (visit, 0),
        (lambda room: execute("DELETE FROM house_visit"), 0),
        (lambda room: execute("WITH gone AS (DELETE FROM house_visit) UPDATE house_room SET name = 'x'"), 1),
        (lambda room: execute("UPDATE house_room SET name = 'house_visit'"), 1),
    ],
)
def test_outside_a_transaction_the_same_holds(two, room, write, counted):
    with creator_scope(two.alice.creator_id):
        write(room)

    assert revision(two.alice) == 1 + counted


def test_the_next_transaction_is_asked_anew(two, room):
    with creator_scope(two.alice.creator_id):
        for write in (visit, save, visit, save):
            with transaction.atomic():
                write(room)

    assert revision(two.alice) == 3


def test_who_writes_at_the_same_moment_changes_nothing_about_it(two, room):
    """Locks of others are their own."""
    with connect() as other:
        bind(other, two.alice.creator_id)
        other.execute("UPDATE house_room SET inside_id = NULL")  # no key: a visit need not wait
        with creator_scope(two.alice.creator_id), transaction.atomic():
            visit(room)
        assert revision(two.alice) == 1


def test_a_transaction_that_names_none_of_them_does_not_look_at_locks(two, room):
    with creator_scope(two.alice.creator_id), wire() as sent, transaction.atomic():
        save(room)
    assert not any("pg_locks" in message for message in sent.messages)


def test_what_is_not_counted_cannot_be_read_for_an_answer_with_a_tag(two, house):
    rows = Read(lambda **values: house.Room.objects.filter(visits__isnull=False), ("name",))

    with pytest.raises(TypeError, match="the revision says nothing about these rows"):
        rows.statement({"unless": None})
