"""What a transaction is bound to, through nesting, savepoints, failures, and calls that send messages of their own."""

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, IntegrityError, OperationalError, ProgrammingError, connection, transaction
from django.test import override_settings

from shared.tenancy.backend.base import DatabaseWrapper, set_local
from shared.tenancy.ids import uuid7
from shared.tenancy.scope import ScopeSwitch, creator_scope
from tests.tenancy.tools import connect, left_behind, setting_in_postgres

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("house")]


def test_a_scope_inside_a_transaction_is_put_back_when_it_ends(two):
    acme = two.alice.creator_id
    with transaction.atomic():
        assert setting_in_postgres() == ""
        with creator_scope(acme):
            assert setting_in_postgres() == str(acme)
            with transaction.atomic():
                assert setting_in_postgres() == str(acme)
        assert setting_in_postgres() == ""
        with creator_scope(acme):
            assert setting_in_postgres() == str(acme)
    assert left_behind() == ""


def test_a_transaction_that_served_one_creator_serves_no_other(two):
    with transaction.atomic():
        with creator_scope(two.alice.creator_id):
            setting_in_postgres()
        with creator_scope(two.mallory.creator_id), pytest.raises(ScopeSwitch):
            setting_in_postgres()
    with creator_scope(two.mallory.creator_id):  # the next transaction may
        assert setting_in_postgres() == str(two.mallory.creator_id)


def test_the_switch_is_refused_after_a_savepoint_was_undone_too(two):
    with transaction.atomic():
        with creator_scope(two.alice.creator_id), pytest.raises(ZeroDivisionError), transaction.atomic():
            setting_in_postgres()
            raise ZeroDivisionError
        with creator_scope(two.mallory.creator_id), pytest.raises(ScopeSwitch):
            setting_in_postgres()


def test_undoing_the_savepoint_that_first_bound_the_transaction_binds_it_again(two):
    acme = two.alice.creator_id
    with transaction.atomic():
        setting_in_postgres()
        with pytest.raises(ZeroDivisionError), transaction.atomic(), creator_scope(acme):
            setting_in_postgres()
            raise ZeroDivisionError
        assert setting_in_postgres() == ""
        with creator_scope(acme):
            assert setting_in_postgres() == str(acme)


def test_what_was_bound_inside_a_savepoint_is_not_believed_after_it_was_undone(two):
    acme = two.alice.creator_id
    with transaction.atomic():
        savepoint = transaction.savepoint_create()
        with creator_scope(acme):
            assert setting_in_postgres() == str(acme)
            transaction.savepoint_rollback(savepoint)  # and Postgres puts the setting back with it
            assert setting_in_postgres() == str(acme)


def test_an_error_in_a_savepoint_leaves_the_transaction_bound(two, house):
    acme = two.alice.creator_id
    with creator_scope(acme), transaction.atomic():
        hall = house.Room.objects.create(name="hall")
        for _ in range(2):
            with pytest.raises(IntegrityError), transaction.atomic():
                house.Room.objects.create(name="hall")
            assert setting_in_postgres() == str(acme)
        with pytest.raises(DataError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        assert list(house.Room.objects.all()) == [hall]


def test_a_first_statement_that_fails_leaves_nothing_believed(two):
    acme = two.alice.creator_id
    with creator_scope(acme):
        with pytest.raises(DataError), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        assert setting_in_postgres() == str(acme)
    assert setting_in_postgres() == ""


def test_a_message_that_never_left_is_not_counted_as_a_binding(two):
    """Parameters are rendered on our side: one that cannot be rendered fails before anything is sent."""
    acme = two.alice.creator_id
    with creator_scope(acme), transaction.atomic():
        for _ in range(2):
            with pytest.raises(ProgrammingError, match="adapt"), connection.cursor() as cursor:
                cursor.execute("SELECT %s", [object()])
        assert setting_in_postgres() == str(acme)
        assert connection.connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    assert left_behind() == ""


def test_a_message_that_never_left_in_a_later_statement_is_not_counted_either(two):
    acme = two.alice.creator_id
    with transaction.atomic():
        assert setting_in_postgres() == ""
        with creator_scope(acme):
            with pytest.raises(ProgrammingError, match="adapt"), connection.cursor() as cursor:
                cursor.execute("SELECT %s", [object()])
            assert setting_in_postgres() == str(acme)


def test_a_transaction_rolled_back_by_hand_forgets(two):
    acme = two.alice.creator_id
    connection.set_autocommit(False)
    try:
        with creator_scope(acme):
            assert setting_in_postgres() == str(acme)
            connection.rollback()
            assert setting_in_postgres() == str(acme)
        connection.commit()
        with creator_scope(two.mallory.creator_id):
            assert setting_in_postgres() == str(two.mallory.creator_id)
        connection.rollback()
    finally:
        connection.set_autocommit(True)
    assert left_behind() == ""


def test_a_killed_backend_is_an_error_and_the_next_connection_is_bound(two):
    acme = two.alice.creator_id
    with creator_scope(acme):
        with pytest.raises(OperationalError), transaction.atomic():
            setting_in_postgres()
            with connect() as other:
                pid = connection.connection.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s)", [pid])
            setting_in_postgres()
        connection.close()
        assert setting_in_postgres() == str(acme)
    assert left_behind() == ""


@pytest.mark.parametrize("call", ["executemany", "copy", "stream", "callproc"])
def test_calls_with_messages_of_their_own_need_a_transaction(two, call):
    with creator_scope(two.alice.creator_id), connection.cursor() as cursor, pytest.raises(ScopeSwitch, match="needs"):
        if call == "executemany":
            cursor.executemany("SELECT %s", [(1,), (2,)])
        else:
            getattr(cursor, call)("SELECT 1")


def test_calls_with_messages_of_their_own_are_bound_in_a_transaction(two, house):
    acme = two.alice.creator_id
    table = house.Room._meta.db_table
    with creator_scope(acme), transaction.atomic(), connection.cursor() as cursor:
        rows = [(uuid7(), acme, name) for name in ("a", "b")]
        cursor.executemany(f"INSERT INTO {table} (id, creator_id, name) VALUES (%s, %s, %s)", rows)
        assert [name for (name,) in cursor.stream(f"SELECT name FROM {table} ORDER BY name")] == ["a", "b"]
    for call, creator, seen in [("stream", acme, 2), ("copy", acme, 2), ("copy", two.mallory.creator_id, 0)]:
        with creator_scope(creator), transaction.atomic(), connection.cursor() as cursor:
            if call == "stream":
                assert len(list(cursor.stream(f"SELECT name FROM {table}"))) == seen
            else:
                with cursor.copy(f"COPY (SELECT name FROM {table}) TO STDOUT") as copy:
                    assert len(list(copy.rows())) == seen


def test_nothing_is_copied_in_past_row_security(two, house):
    """Postgres itself refuses COPY FROM on such a table."""
    table = house.Room._meta.db_table
    with creator_scope(two.alice.creator_id), transaction.atomic(), connection.cursor() as cursor:
        with pytest.raises(psycopg.errors.FeatureNotSupported), cursor.copy(f"COPY {table} FROM STDIN"):
            pass
        connection.set_rollback(True)


def test_iterating_sends_no_cursor_that_outlives_its_message(two, house):
    with creator_scope(two.alice.creator_id):
        house.Room.objects.bulk_create([house.Room(name=str(number)) for number in range(30)])
        assert len(list(house.Room.objects.iterator(chunk_size=7))) == 30


def test_server_side_cursors_where_they_are_allowed_need_a_transaction_and_are_bound(two, house):
    with override_settings(), creator_scope(two.alice.creator_id):
        house.Room.objects.bulk_create([house.Room(name=str(number)) for number in range(30)])
        connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = False
        try:
            with pytest.raises(ScopeSwitch):
                list(house.Room.objects.iterator(chunk_size=7))
            with transaction.atomic():
                assert len(list(house.Room.objects.iterator(chunk_size=7))) == 30
        finally:
            connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = True


@pytest.mark.parametrize("value", ["x'; DROP TABLE accounts_user; --", "0199a000-0000-7000-8000-00000000000a", 5, b"0"])
def test_nothing_but_a_uuid_is_ever_put_into_a_binding(value):
    with pytest.raises(TypeError):
        set_local(value)


@pytest.mark.parametrize("option", ["isolation_level", "server_side_binding"])
def test_options_that_would_part_the_binding_from_its_statement_are_refused(option):
    settings = {**connection.settings_dict, "OPTIONS": {option: 1}}
    with pytest.raises(ImproperlyConfigured, match=option):
        DatabaseWrapper(settings, "other")


def test_migrating_without_an_owner_says_what_to_set():
    wrapper = connection.copy()
    wrapper.settings_dict["OWNER"] = {}
    with pytest.raises(ImproperlyConfigured, match="DATABASE_OWNER_URL"), wrapper.as_owner():
        pass
