"""200 interleaved requests of two creators, in every way a request can end, for any pool they are sent through."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import psycopg_pool
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from shared.tenancy.actor import Actor
from shared.tenancy.run import run_as
from tests.tenancy.house.models import Room
from tests.tenancy.tools import setting_in_postgres

REQUESTS = 200
GONE = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg_pool.PoolTimeout)


class WrongCreator(AssertionError):
    """A statement ran for, or saw rows of, somebody else."""


def check(actor: Actor) -> None:
    """What Postgres has to say about who asks, and whose rows there are."""
    said = setting_in_postgres()
    if said != str(actor.creator_id):
        raise WrongCreator(f"{said!r} instead of {actor.creator_id}")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT creator_id FROM {Room._meta.db_table}")
        seen = {creator for (creator,) in cursor.fetchall()}
    if not seen <= {actor.creator_id}:
        raise WrongCreator(f"rows of {seen}")


def write(actor: Actor, *, name: str) -> str:
    check(actor)
    Room.objects.create(name=name)
    check(actor)
    return name


def read(actor: Actor) -> list[str]:
    check(actor)
    return sorted(Room.objects.values_list("name", flat=True))


def write_slowly(actor: Actor, *, name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.01)")
    return write(actor, name=name)


def die(actor: Actor, *, name: str) -> None:
    """The backend goes away in the middle of the transaction."""
    write(actor, name=name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    raise WrongCreator("the backend lived")


def stumble(actor: Actor, *, name: str) -> str:
    """Errors inside savepoints, and on with it."""
    write(actor, name=name)
    for mistake in ("SELECT 1 / 0", f"INSERT INTO {Room._meta.db_table} (id) VALUES (NULL)", "SELECT nonsense"):
        try:
            with transaction.atomic():
                check(actor)
                with connection.cursor() as cursor:
                    cursor.execute(mistake)
        except DatabaseError:
            check(actor)
    return name


@dataclass
class Traffic:
    """The requests, and what came of them."""

    alice: Actor
    mallory: Actor
    seed: int = 7
    written: dict[str, Actor] = field(default_factory=dict)
    cancelled: dict[str, Actor] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    killed: int = 0
    _later: list[asyncio.Task[None]] = field(default_factory=list)

    async def run(self) -> None:
        """Send all of them, at most sixteen at a time."""
        chance = random.Random(self.seed)
        kinds = [self.plain, self.cancel, self.kill, self.savepoints, self.task_inside, self.stream]
        at_once = asyncio.Semaphore(16)
        work = [(kinds[number % len(kinds)], number) for number in range(REQUESTS)]
        chance.shuffle(work)
        await asyncio.gather(*(self._one(at_once, kind, number) for kind, number in work))
        await asyncio.gather(*self._later)

    async def names(self, actor: Actor) -> set[str]:
        """The rows that are really there for a creator."""
        return set(await run_as(actor, read))

    async def _one(self, at_once: asyncio.Semaphore, kind: Callable[..., Awaitable[None]], number: int) -> None:
        actor = self.alice if number % 2 else self.mallory
        async with at_once:
            try:
                await kind(actor, f"{'alice' if number % 2 else 'mallory'} {number}")
            except GONE:
                self.killed += 1  # behind PgBouncer a killed server may take a neighbour's wait along
            except Exception as error:
                self.wrong.append(repr(error))

    async def plain(self, actor: Actor, name: str) -> None:
        await run_as(actor, write, name=name)
        self.written[name] = actor

    async def cancel(self, actor: Actor, name: str) -> None:
        task = asyncio.create_task(run_as(actor, write_slowly, name=name))
        await asyncio.sleep(0.005)
        task.cancel()
        self.cancelled[name] = actor
        await asyncio.gather(task, return_exceptions=True)

    async def kill(self, actor: Actor, name: str) -> None:
        await run_as(actor, die, name=name)

    async def savepoints(self, actor: Actor, name: str) -> None:
        await run_as(actor, stumble, name=name)
        self.written[name] = actor

    async def task_inside(self, actor: Actor, name: str) -> None:
        """A task started by a request, which outlives it and works for the same creator."""

        async def later() -> None:
            await asyncio.sleep(0.01)
            try:
                await run_as(actor, write, name=f"{name} later")
                self.written[f"{name} later"] = actor
            except GONE:
                self.killed += 1
            except Exception as error:
                self.wrong.append(repr(error))

        self._later.append(asyncio.create_task(later()))
        await self.plain(actor, name)

    async def stream(self, actor: Actor, name: str) -> None:
        """An answer in parts: each asks again, with others' requests in between."""

        async def parts() -> AsyncIterator[Any]:
            for part in range(4):
                yield await run_as(actor, write, name=f"{name} part {part}")
                await asyncio.sleep(0)

        async for written in parts():
            self.written[written] = actor
