"""Statements that are compiled once do what the ORM does each time, for whoever is in scope."""

import copy
from datetime import UTC, datetime

import psycopg
import pytest
from django.apps import apps
from django.core.exceptions import FieldFetchBlocked
from django.db import models, transaction
from django.db.models import signals
from django.db.models.functions import Upper

from apps.accounts.models import Creator
from apps.hub.models import Profile
from apps.knowledge.models import Cell, Document, Vector
from shared.tenancy import statements
from shared.tenancy.ids import uuid7
from shared.tenancy.scope import NoCreatorInScope, creator_scope
from tests.tenancy.rows import Rows, labels
from tests.tenancy.tools import bind, connect, wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("house")]

READABLE = [label for label in labels() if apps.get_model(label) not in (Cell, Vector)]
CACHES = (statements._by_id, statements._change)


@pytest.fixture(autouse=True)
def compiled(monkeypatch):
    """What is compiled in the test: nothing was before."""
    made = []
    compile_statement = statements.compile_statement

    def note(make_query):
        made.append(compile_statement(make_query))
        return made[-1]

    monkeypatch.setattr(statements, "compile_statement", note)
    for cache in CACHES:
        cache.cache_clear()
    return made


@pytest.fixture
def rooms(two, house):
    """A room of Alice's and one of Mallory's, which have the same id."""
    made, row_id = [], uuid7()
    for actor, name in ((two.alice, "alice's"), (two.mallory, "mallory's")):
        with creator_scope(actor.creator_id):
            made.append(house.Room.objects.create(id=row_id, name=name))
    return made


def name_of(room):
    """What the table has, as the ORM reads it."""
    with creator_scope(room.creator_id):
        return type(room).objects.values_list("name", flat=True).get(id=room.id)


# ---- Rows by their id


@pytest.mark.parametrize("label", READABLE)
def test_a_row_is_found_as_the_orm_finds_it(two, label):
    model = apps.get_model(label)
    row_id = Rows(Creator.objects.get(id=two.alice.creator_id)).one(model).pk

    with creator_scope(two.alice.creator_id), transaction.atomic():
        ordinary = model.objects.get(id=row_id)
        for found in (model.objects.find(row_id), model.objects.lock(row_id)):
            for field in model._meta.concrete_fields:
                value = getattr(found, field.attname)
                assert (type(value), value) == (type(wanted := getattr(ordinary, field.attname)), wanted)
            assert (found._state.db, found._state.adding) == (ordinary._state.db, False)
            assert found._state.fetch_mode is ordinary._state.fetch_mode is models.FETCH_RAISE


@pytest.mark.parametrize("way", ["find", "lock"])
def test_a_row_that_is_not_there_and_another_creators_are_none(two, house, way):
    with creator_scope(two.mallory.creator_id):
        mallorys = house.Room.objects.create(name="den")
    with creator_scope(two.alice.creator_id), transaction.atomic():
        look = getattr(house.Room.objects, way)
        assert look(uuid7()) is None
        assert look(mallorys.id) is None


@pytest.mark.parametrize("way", ["find", "lock"])
def test_a_statement_compiled_for_one_creator_finds_only_the_others_row_for_the_other(rooms, compiled, way):
    found = []
    for room in (*rooms, *reversed(rooms)):
        with creator_scope(room.creator_id), transaction.atomic():
            found.append(getattr(type(room).objects, way)(room.id))

    assert [(row.name, row.creator_id) for row in found] == [
        (room.name, room.creator_id) for room in (*rooms, *reversed(rooms))
    ]
    (statement,) = compiled
    for room in rooms:
        assert str(room.creator_id) not in f"{statement.sql} {statement.places}"


def test_finding_and_locking_are_two_statements(rooms, compiled):
    with creator_scope(rooms[0].creator_id), transaction.atomic():
        for _ in range(2):
            type(rooms[0]).objects.find(rooms[0].id)
            type(rooms[0]).objects.lock(rooms[0].id)

    assert ["FOR UPDATE" in statement.sql for statement in compiled] == [False, True]


def test_a_related_row_is_not_fetched_by_accident(rooms):
    alices, _ = rooms
    with creator_scope(alices.creator_id):
        inner = type(alices).objects.create(name="closet", inside=alices)
        found = type(alices).objects.find(inner.id)
        assert found.inside_id == alices.id
        with pytest.raises(FieldFetchBlocked):
            _ = found.inside


def test_a_model_whose_values_the_orm_has_to_make_is_refused(two):
    with creator_scope(two.alice.creator_id):
        for way in (Vector.objects.find, Vector.objects.lock):
            with pytest.raises(TypeError, match="Vector: embedding need the ORM"):
                way(uuid7())


def test_outside_a_scope_nothing_is_sent(rooms):
    room, _ = rooms
    manager = type(room).objects
    calls = [lambda: manager.find(room.id), lambda: manager.lock(room.id), lambda: room.save(update_fields=["name"])]
    with wire() as sent:
        for call in calls * 2:
            with pytest.raises(NoCreatorInScope):
                call()
    assert sent.messages == []


@pytest.mark.django_db(transaction=True)
def test_a_locked_row_is_kept_from_others_until_the_transaction_ends(rooms):
    alices, mallorys = rooms
    manager = type(alices).objects

    def take(session, room):
        bind(session, room.creator_id)
        session.execute("SELECT id FROM house_room WHERE id = %s FOR UPDATE NOWAIT", [room.id])
        session.rollback()

    with connect() as other:
        with creator_scope(alices.creator_id), transaction.atomic():
            manager.find(alices.id)
            take(other, alices)
            manager.lock(alices.id)
            with pytest.raises(psycopg.errors.LockNotAvailable):
                take(other, alices)
            other.rollback()
            take(other, mallorys)
        take(other, alices)


# ---- Some fields of a row


@pytest.mark.django_db(transaction=True)
def test_a_lock_outside_a_transaction_is_refused_every_time(rooms):
    room, _ = rooms
    with creator_scope(room.creator_id):
        with transaction.atomic():
            assert type(room).objects.lock(room.id) == room
        with pytest.raises(transaction.TransactionManagementError):
            type(room).objects.lock(room.id)


def test_only_the_fields_that_are_named_are_written(rooms):
    alices, mallorys = rooms
    with creator_scope(alices.creator_id):
        attic = type(alices).objects.create(name="attic")
        alices.name, alices.inside = "renamed", attic
        alices.save(update_fields=["inside"])
        found = type(alices).objects.get(id=alices.id)
        assert (found.name, found.inside_id) == ("alice's", attic.id)
        alices.save(update_fields=("name", "inside_id"))

    assert (name_of(alices), name_of(attic), name_of(mallorys)) == ("renamed", "attic", "mallory's")


def test_a_change_compiled_for_one_creator_changes_only_the_others_row_for_the_other(rooms, compiled):
    for room, name in zip(rooms * 2, ["1", "2", "3", "4"], strict=True):
        with creator_scope(room.creator_id):
            room.name = name
            room.save(update_fields=["name"])

    assert [name_of(room) for room in rooms] == ["3", "4"]
    (statement,) = compiled
    for room in rooms:
        assert str(room.creator_id) not in f"{statement.sql} {statement.places}"


def test_each_set_of_fields_has_its_own_statement_compiled_once(rooms, compiled):
    with creator_scope(rooms[0].creator_id):
        for names in [["name"], ["inside"], ["name", "inside"]] * 2:
            rooms[0].save(update_fields=names)

    assert len(compiled) == len({statement.sql for statement in compiled}) == 3


def test_a_time_of_change_is_set_where_it_is_named(two):
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    with creator_scope(two.alice.creator_id):
        Profile.objects.create(coaching_categories=["a"])
        Profile.objects.update(updated_at=long_ago)
        profile = Profile.objects.get()

        profile.bio, profile.coaching_categories = "words", ["b", "c"]
        profile.save(update_fields=["bio", "coaching_categories"])
        found = Profile.objects.get()
        assert (found.bio, found.coaching_categories, found.updated_at) == ("words", ["b", "c"], long_ago)

        profile.save(update_fields=["updated_at"])
        assert Profile.objects.get().updated_at == profile.updated_at != long_ago


def test_a_value_that_is_none_of_the_fields_is_refused_before_anything_is_sent(two):
    with creator_scope(two.alice.creator_id):
        document = Document.objects.create(title="Handbook", bytes=1)
        document.bytes = "many"
        for save in (models.Model.save, Document.save):
            with pytest.raises(ValueError, match="Field 'bytes' expected a number"), transaction.atomic():
                save(document, update_fields=["bytes"])


def test_a_row_that_has_gone_is_an_error_in_djangos_words(rooms):
    alices, mallorys = rooms
    with creator_scope(mallorys.creator_id):
        gone = copy.copy(mallorys)
        mallorys.delete()
        for row in (gone, copy.copy(alices)):  # which has the same id
            told = []
            for save in (models.Model.save, type(row).save):
                with pytest.raises(type(row).NotUpdated) as error, transaction.atomic():
                    save(row, update_fields=["name"])
                told.append(str(error.value))
            assert told == ["Save with update_fields did not affect any rows."] * 2

    assert name_of(alices) == "alice's"


def test_a_save_that_failed_leaves_a_transaction_that_takes_nothing_more(rooms):
    gone, _ = rooms
    with creator_scope(gone.creator_id), transaction.atomic():
        type(gone).objects.filter(id=gone.id).delete()
        with transaction.atomic():
            with pytest.raises(type(gone).NotUpdated):
                gone.save(update_fields=["name"])
            assert transaction.get_rollback()


@pytest.mark.parametrize("signal", [signals.pre_save, signals.post_save], ids=["pre_save", "post_save"])
def test_whoever_listens_for_saves_is_told(rooms, compiled, signal):
    alices, _ = rooms
    heard = []

    def listen(sender, instance, update_fields, **_):
        heard.append((sender, instance, update_fields))

    signal.connect(listen, sender=type(alices))
    try:
        with creator_scope(alices.creator_id):
            alices.name = "heard"
            alices.save(update_fields=["name"])
    finally:
        signal.disconnect(listen, sender=type(alices))

    assert heard == [(type(alices), alices, frozenset({"name"}))]
    assert compiled == []
    assert name_of(alices) == "heard"


def test_a_save_of_no_fields_changes_nothing(rooms, django_assert_num_queries):
    alices, _ = rooms
    alices.name = "lost"
    with creator_scope(alices.creator_id), django_assert_num_queries(0):
        alices.save(update_fields=[])

    assert name_of(alices) == "alice's"


@pytest.mark.parametrize("names", [["nope"], ["name", "nope"], ["id"], "name"])
def test_names_that_django_refuses_are_refused_in_its_words(rooms, names):
    room, _ = rooms
    with creator_scope(room.creator_id), pytest.raises(ValueError, match="The following fields do not exist"):
        room.save(update_fields=names)


def test_a_field_that_is_named_twice_is_written_once(rooms):
    room, _ = rooms
    room.name = "attic"
    with creator_scope(room.creator_id):
        room.save(update_fields=["name", "name"])
        assert type(room).objects.get(id=room.id).name == "attic"


def test_a_value_that_postgres_works_out_is_left_to_django(rooms):
    alices, _ = rooms
    alices.name = Upper(models.F("name"))
    with creator_scope(alices.creator_id):
        alices.save(update_fields=["name"])

    assert name_of(alices) == "ALICE'S"
