"""One message: the binding travels with the statement that needs it, read from the wire itself."""

import pytest
from django.db import connection, transaction
from django.db.models import Count
from psycopg import sql as pgsql

from apps.accounts.models import Creator
from shared.tenancy.policies import SETTING
from shared.tenancy.scope import creator_scope
from tests.tenancy.tools import left_behind, setting_in_postgres, wire

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("house")]


def test_outside_a_scope_a_statement_is_sent_as_it_is(two):
    with wire() as sent, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert sent.messages == ["SELECT 1"]


def test_in_a_scope_a_statement_and_its_binding_are_one_message_and_nothing_stays(two, house):
    acme = two.alice.creator_id
    with creator_scope(acme), wire() as sent:
        assert list(house.Room.objects.all()) == []
    assert len(sent) == 1
    assert sent.messages[0].startswith(f"SET LOCAL {SETTING} = '{acme}'; SELECT")
    assert left_behind() == ""


def test_a_transaction_takes_one_message_for_each_statement_and_one_to_commit(two, house):
    with creator_scope(two.alice.creator_id), wire() as sent, transaction.atomic():
        house.Room.objects.create(name="hall")
        house.Room.objects.create(name="loft")
        assert house.Room.objects.count() == 2
    assert len(sent) == 4
    assert sent.messages[0].startswith("BEGIN; SET LOCAL")
    assert [SETTING in message for message in sent.messages] == [True, False, False, False]
    assert sent.messages[-1].startswith("SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO tenancy_revision")
    assert sent.messages[-1].endswith("; COMMIT")


def test_a_transaction_of_nobody_counts_nothing(two):
    with wire() as sent, transaction.atomic():
        Creator.objects.create(display_name="Third")
    assert sent.messages[-1] == "COMMIT"
    assert left_behind() == ""


def test_a_transaction_in_which_nothing_is_asked_sends_nothing(two):
    with creator_scope(two.alice.creator_id), wire() as sent, transaction.atomic(), transaction.atomic(savepoint=False):
        pass
    assert sent.messages == []


def test_rolling_back_before_anything_was_sent_sends_nothing(two):
    with wire() as sent, pytest.raises(ZeroDivisionError), transaction.atomic():
        raise ZeroDivisionError
    assert sent.messages == []


def test_the_result_is_the_statements_own(two, house):
    with creator_scope(two.alice.creator_id), connection.cursor() as cursor:
        cursor.execute("SELECT 1 UNION SELECT 2 ORDER BY 1")
        assert cursor.rowcount == 2
        assert [column.name for column in cursor.description] == ["?column?"]
        assert cursor.fetchall() == [(1,), (2,)]
        cursor.execute(pgsql.SQL("SELECT {}").format(pgsql.Literal("composed")))
        assert cursor.fetchone() == ("composed",)
        cursor.execute(b"SELECT 'bytes 100%'")
        assert cursor.fetchone() == ("bytes 100%",)
        cursor.execute("SELECT %s, '100%%'", ["; DROP TABLE x --"])
        assert cursor.fetchone() == ("; DROP TABLE x --", "100%")
    with creator_scope(two.alice.creator_id):
        assert house.Room.objects.create(name="hall").pk
        assert house.Room.objects.filter(name="hall").update(name="loft") == 1
        assert house.Room.objects.all().delete()[0] == 1


def test_queries_that_are_recorded_are_bound_as_well(two, house, django_assert_num_queries):
    with creator_scope(two.alice.creator_id), django_assert_num_queries(2):
        house.Room.objects.create(name="hall")
        assert setting_in_postgres() == str(two.alice.creator_id)


def test_grouping_by_a_row_names_all_its_columns(two, house):
    """`id` alone is not the primary key, so Postgres would refuse GROUP BY id."""
    with creator_scope(two.alice.creator_id):
        hall = house.Room.objects.create(name="hall")
        for label in ("red", "blue"):
            house.Chair.objects.create(room=hall, label=label)
        counted = house.Room.objects.annotate(chairs_in_it=Count("chairs"))
        assert [room.chairs_in_it for room in counted] == [2]


def test_each_backend_of_autocommit_statements_is_left_clean(two, house):
    with creator_scope(two.alice.creator_id):
        for _ in range(5):
            house.Room.objects.count()
            assert left_behind() == ""
