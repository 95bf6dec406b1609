"""Thousands of statements on a few connections, in every order, with backends killed: none under a wrong creator."""

import random
import threading
from contextlib import nullcontext
from uuid import UUID

import psycopg
import psycopg_pool
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection, connections, transaction

from shared.tenancy.policies import SETTING
from shared.tenancy.scope import creator_scope, current_creator
from tests.tenancy.tools import connect, left_behind, pool_of, setting_in_postgres

THREADS, STATEMENTS = 10, 6000
GONE = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg_pool.PoolTimeout)


class Undo(Exception):
    """Rolls a savepoint back."""


class Fuzzer(threading.Thread):
    """One thread's share: random scopes, transactions, savepoints and errors; each answer is compared."""

    def __init__(self, seed: int, creators: list[UUID], count: int) -> None:
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.creators = creators
        self.left = count
        self.wrong: list[str] = []
        self.checked = self.lost = 0

    def run(self) -> None:
        while self.left > 0:
            try:
                self.piece_of_work(self.random.choice([None, *self.creators]))
            except GONE:
                self.lost += 1
            except BaseException as error:  # a thread's errors would be lost otherwise
                self.wrong.append(repr(error))
                break
            finally:
                connections.close_all()

    def piece_of_work(self, creator: UUID | None) -> None:
        with creator_scope(creator) if creator else nullcontext():
            shape = self.random.random()
            if shape < 0.4:
                for _ in range(self.random.randint(1, 4)):
                    self.statement()
            else:
                with transaction.atomic():
                    self.nested(self.random.randint(1, 3))
        if self.random.random() < 0.3 and (behind := left_behind()):
            self.wrong.append(f"the session kept {behind}")

    def nested(self, depth: int) -> None:
        self.statement()
        for _ in range(self.random.randint(0, 2)):
            try:
                with transaction.atomic():
                    self.statement()
                    if depth > 1:
                        self.nested(depth - 1)
                    self.maybe_fail()
            except (Undo, DatabaseError) as error:
                if isinstance(error, GONE):
                    raise
            self.statement()

    def maybe_fail(self) -> None:
        choice = self.random.random()
        if choice < 0.2:
            raise Undo
        if choice < 0.4:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")

    def statement(self) -> None:
        self.left -= 1
        said, expected = setting_in_postgres(), str(current_creator() or "")
        self.checked += 1
        if said != expected:
            self.wrong.append(f"{said!r} instead of {expected!r}")


def killer(stop: threading.Event, database: str) -> int:
    """Terminates a backend of the pool every now and then."""
    killed = 0
    with connect(autocommit=True) as session:
        while not stop.wait(0.1):
            killed += session.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE datname = %s"
                " AND usename = current_user AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) one",
                [database],
            ).fetchone()[0]
    return killed


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("size", [1, 3])
def test_no_statement_ever_runs_under_a_wrong_creator(two, size):
    creators = [two.alice.creator_id, two.mallory.creator_id]
    stop, killed = threading.Event(), []
    with pool_of(size):
        killing = threading.Thread(target=lambda: killed.append(killer(stop, connection.settings_dict["NAME"])))
        killing.start()
        threads = [Fuzzer(seed, creators, STATEMENTS // THREADS // 2) for seed in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        stop.set()
        killing.join()
        assert [thread.wrong for thread in threads if thread.wrong] == []
        assert not any(thread.is_alive() for thread in threads)
        assert sum(thread.checked for thread in threads) > STATEMENTS // 4
        for held in [connection.pool.getconn() for _ in range(size)]:
            assert held.execute(f"SELECT current_setting('{SETTING}', true)").fetchone()[0] in ("", None)
            connection.pool.putconn(held)
    assert killed[0] > 0
