"""No ORM statement touches a tenant table outside a scope, wherever its queryset came from."""

import pytest
from django.core.exceptions import FieldFetchBlocked
from django.db import connection, models, transaction
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Subquery
from django.db.models.query import QuerySet

from apps.accounts.models import Creator
from shared.tenancy.scope import NoCreatorInScope, creator_scope
from tests.tenancy.tools import wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("house")]


@pytest.fixture
def hall(two, house):
    with creator_scope(two.alice.creator_id):
        hall = house.Room.objects.create(name="hall")
        house.Chair.objects.create(room=hall, label="red")
        return hall


def unscoped(model: type[models.Model]) -> QuerySet:
    """A queryset that no tenant manager has seen."""
    return QuerySet(model)


OUTSIDE = {
    "select": lambda house: list(unscoped(house.Room)),
    "count": lambda house: unscoped(house.Room).count(),
    "exists": lambda house: unscoped(house.Room).exists(),
    "aggregate": lambda house: unscoped(house.Room).aggregate(Count("id")),
    "aggregate over a sliced query": lambda house: unscoped(house.Room)[:3].aggregate(Count("id")),
    "values": lambda house: list(unscoped(house.Room).values_list("name")),
    "union": lambda house: list(unscoped(house.Room).union(unscoped(house.Room), all=True)),
    "update": lambda house: unscoped(house.Room).update(name="mine"),
    "update by a join": lambda house: unscoped(house.Chair).filter(room__name="hall").update(label="x"),
    "delete": lambda house: unscoped(house.Room).delete(),
    "raw delete": lambda house: unscoped(house.Room)._raw_delete("default"),
    "insert": lambda house: unscoped(house.Room).bulk_create([house.Room(name="x", creator_id=None)]),
    "iterator": lambda house: list(unscoped(house.Room).iterator()),
    "a subquery of a global table": lambda house: list(
        Creator.objects.filter(Exists(unscoped(house.Room).filter(creator_id=OuterRef("id"))))
    ),
    "a value out of a subquery": lambda house: list(
        Creator.objects.annotate(one=Subquery(unscoped(house.Room).values("name")[:1]))
    ),
    "in": lambda house: list(Creator.objects.filter(id__in=unscoped(house.Room).values("creator_id"))),
    "an extra table": lambda house: list(Creator.objects.extra(tables=[house.Room._meta.db_table])),
}


@pytest.mark.parametrize("statement", OUTSIDE.values(), ids=OUTSIDE)
def test_outside_a_scope_it_is_refused_before_anything_is_sent(house, hall, statement):
    with wire() as sent, pytest.raises(NoCreatorInScope):
        statement(house)
    assert [message for message in sent.messages if "house" in message] == []


def test_the_manager_refuses_at_once(house):
    for manager in (house.Room.objects, house.Room._base_manager, house.Room._default_manager):
        with pytest.raises(NoCreatorInScope):
            manager.all()


def test_an_instance_from_inside_can_do_nothing_outside(house, hall):
    for act in (hall.delete, hall.save, hall.refresh_from_db, hall.chairs.all, hall.full_clean):
        with pytest.raises(NoCreatorInScope), transaction.atomic():
            act()


def test_a_queryset_built_inside_is_refused_outside(two, house, hall):
    with creator_scope(two.alice.creator_id):
        rooms, chairs = house.Room.objects.all(), house.Chair.objects.select_related("room")
    for rows in (rooms, chairs, rooms.filter(name="hall"), rooms.values("id")):
        with pytest.raises(NoCreatorInScope):
            list(rows)
    with pytest.raises(NoCreatorInScope):
        rooms.delete()
    with pytest.raises(NoCreatorInScope):
        rooms.update(name="x")


def test_a_queryset_built_in_one_scope_finds_nothing_in_another(two, house, hall):
    with creator_scope(two.alice.creator_id):
        rooms = house.Room.objects.all()
        assert rooms.count() == 1
    with creator_scope(two.mallory.creator_id):
        assert list(rooms) == []
        assert rooms.update(name="x") == 0
        assert rooms.delete()[0] == 0


def test_an_instance_of_one_creator_cannot_be_written_in_anothers_scope(two, house, hall):
    with creator_scope(two.mallory.creator_id):
        with pytest.raises(house.Room.DoesNotExist):
            hall.refresh_from_db()
        with pytest.raises(house.Room.NotUpdated), transaction.atomic():
            hall.save(force_update=True)
        assert house.Room.objects.filter(pk=hall.pk).delete()[0] == 0
    with creator_scope(two.alice.creator_id):
        hall.refresh_from_db()


def test_the_manager_names_the_creator_so_that_the_planner_can_use_the_keys(two, house):
    with creator_scope(two.alice.creator_id):
        assert str(two.alice.creator_id) in str(house.Room.objects.filter(name="x").query)


def test_a_row_made_in_a_scope_is_that_creators(two, hall):
    assert hall.creator_id == two.alice.creator_id


def test_what_was_not_fetched_raises_instead_of_asking_in_silence(two, house, hall):
    with creator_scope(two.alice.creator_id):
        chair = house.Chair.objects.get()
        with pytest.raises(FieldFetchBlocked):
            _ = chair.room
        with pytest.raises(FieldFetchBlocked):
            _ = house.Chair.objects.only("id").get().label
        with pytest.raises(FieldFetchBlocked):
            _ = house.Chair.objects.defer("label").get().label


def test_what_was_fetched_is_there(two, house, hall):
    with creator_scope(two.alice.creator_id):
        assert house.Chair.objects.select_related("room").get().room == hall
        prefetched = house.Room.objects.prefetch_related("chairs", Prefetch("chairs", to_attr="seats")).get()
        assert [chair.label for chair in prefetched.chairs.all()] == ["red"]
        assert len(prefetched.seats) == 1
        assert house.Chair.objects.annotate(where=F("room__name")).get().where == "hall"


def test_a_global_table_needs_no_scope(two):
    assert Creator.objects.count() == 2


def test_raw_sql_outside_a_scope_is_stopped_by_postgres(house, hall):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {house.Room._meta.db_table}")
        assert cursor.fetchone() == (0,)
