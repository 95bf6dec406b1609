"""Rows that are kept: of many that ask at once one reads, each is confirmed, and nobody depends on who went first."""

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction

from apps.accounts.models import RefreshFamily
from apps.knowledge.models import Document
from shared import reading
from shared.security.tokens import TokenInvalid, verify_access_token
from shared.tenancy import reads
from shared.tenancy.names import memory_key
from shared.tenancy.reads import Read, SameThreadReader
from shared.tenancy.scope import creator_scope
from tests.fixtures.auth_fixtures import make_person

pytestmark = pytest.mark.django_db

SECONDS = 20


def documents(*, title=None):
    found = Document.objects.order_by("title")
    return found if title is None else found.filter(title=title)


TITLES = Read(documents, ("title",))


def write(person, title):
    with creator_scope(person.creator.id), transaction.atomic():
        Document.objects.create(title=title, filename="a.pdf", bytes=1)


class Gate(SameThreadReader):
    """Reads at once; while it is shut, keeps what it has read of documents until it is opened."""

    def __init__(self):
        self.confirmed, self.found = [], []
        self.shut = False
        self.fails = None

    async def __call__(self, sql, parameters, sets):
        answer = await super().__call__(sql, parameters, sets)
        if sets == 1:
            self.confirmed.append(answer)
            return answer
        self.found.append(answer[1])
        if self.shut:
            await self._opened.wait()
            if self.fails:
                raise self.fails
        return answer

    def close(self):
        self.shut, self._opened = True, asyncio.Event()

    def open(self):
        self.shut = False
        self._opened.set()


@pytest.fixture
def gate():
    own = Gate()
    reads.use_reader(own)
    return own


@pytest.fixture
def kept():
    return reading._Kept()


async def at(kept, person, **values):
    return await kept.read(TITLES, verify_access_token(person.tokens.access_token), values)


def rows(kept, person, **values):
    return [title for (title,) in async_to_sync(at)(kept, person, **values).rows]


async def until(happens):
    async with asyncio.timeout(SECONDS):
        while not happens():
            await asyncio.sleep(0.001)


async def behind(kept, gate, leader, *followers):
    """Tasks of people who ask while the leader, whose task is the first, has read and has not yet ended."""
    gate.close()
    tasks = [asyncio.create_task(at(kept, leader))]
    already = len(gate.found)
    await until(lambda: len(gate.found) == already + 1)
    for number, person in enumerate(followers, len(gate.confirmed) + 1):
        tasks.append(asyncio.create_task(at(kept, person)))
        await until(lambda number=number: len(gate.confirmed) == number)
    return tasks


async def ended(tasks):
    async with asyncio.timeout(SECONDS):
        found = await asyncio.gather(*tasks, return_exceptions=True)
    return [each if isinstance(each, BaseException) else each.rows for each in found]


# ---- While they stand


def test_rows_that_still_stand_are_not_read_again(kept, gate, alice):
    write(alice, "one")
    assert [rows(kept, alice), rows(kept, alice)] == [["one"], ["one"]]
    write(alice, "two")
    assert [rows(kept, alice), rows(kept, alice)] == [["one", "two"], ["one", "two"]]

    assert gate.found == [[("one",)], [], [("one",), ("two",)], []]


def test_a_person_is_confirmed_however_well_the_rows_stand(kept, alice, bob):
    assert async_to_sync(at)(kept, alice).standing.actor == alice.actor
    assert async_to_sync(at)(kept, bob).standing.actor == bob.actor
    RefreshFamily.objects.filter(user=bob.user).update(revoked_at="2026-01-01T00:00Z")

    with pytest.raises(TokenInvalid):
        rows(kept, bob)
    assert rows(kept, alice) == []


def test_each_creator_and_each_value_has_rows_of_its_own(kept, alice, mallory):
    for title in ("a", "b"):
        write(alice, title)
        write(mallory, title)
    write(alice, "alice's")
    write(mallory, "mallory's")
    revisions = [async_to_sync(at)(kept, person).standing.revision for person in (alice, mallory)]
    assert revisions == [3, 3]

    for _ in range(2):
        assert rows(kept, alice) == ["a", "alice's", "b"]
        assert rows(kept, mallory) == ["a", "b", "mallory's"]
        assert [rows(kept, alice, title=title) for title in ("a", "b", "c")] == [["a"], ["b"], []]
        assert rows(kept, mallory, title="alice's") == []


def test_forgotten_rows_are_read_again(kept, gate, alice):
    write(alice, "one")
    rows(kept, alice)
    kept.forget()

    assert rows(kept, alice) == ["one"]
    assert gate.found == [[("one",)], [("one",)]]


def test_only_so_many_are_kept_and_those_that_nobody_asked_for_longest_go_first(kept, gate, alice, monkeypatch):
    monkeypatch.setattr(reading, "_MOST_KEPT", 2)
    for title in ("a", "b", "c"):
        write(alice, title)
    for title in ("a", "b", "a", "c"):
        rows(kept, alice, title=title)
    assert len(kept._rows) == 2
    gate.found.clear()

    assert [rows(kept, alice, title=title) for title in ("a", "c", "b")] == [["a"], ["c"], ["b"]]
    assert gate.found == [[], [], [("b",)]]


# ---- Many at once


def test_of_many_that_ask_at_once_one_reads_and_each_is_confirmed(kept, gate, alice, bob, acme):
    ended_before = make_person("Carol", acme, "viewer")
    RefreshFamily.objects.filter(user=ended_before.user).update(revoked_at="2026-01-01T00:00Z")
    write(alice, "one")
    rows(kept, alice)
    write(alice, "two")

    async def story():
        tasks = await behind(kept, gate, alice, bob, ended_before, alice, bob)
        gate.open()
        return await ended(tasks)

    first, second, refused, *others = async_to_sync(story)()

    assert isinstance(refused, TokenInvalid)
    assert [first, second, *others] == [[("one",), ("two",)]] * 4
    assert gate.found == [[("one",)], [("one",), ("two",)]]
    assert kept._reading == {}


def test_another_creator_does_not_wait(kept, gate, alice, mallory):
    write(mallory, "mallory's")

    async def story():
        (leader,) = await behind(kept, gate, alice)
        gate.shut = False
        async with asyncio.timeout(SECONDS):
            found = await at(kept, mallory)
        assert not leader.done()
        gate.open()
        return [*await ended([leader]), found.rows]

    assert async_to_sync(story)() == [[], [("mallory's",)]]


def test_who_asks_after_a_write_does_not_get_what_was_read_before_it(kept, gate, alice, bob):
    write(alice, "one")

    async def story():
        gate.close()
        leader = asyncio.create_task(at(kept, alice))
        await until(lambda: gate.found)
        await sync_to_async(write)(alice, "two")
        follower = asyncio.create_task(at(kept, bob))
        await until(lambda: gate.confirmed)
        gate.open()
        return await ended([leader, follower])

    assert async_to_sync(story)() == [[("one",)], [("one",), ("two",)]]
    assert rows(kept, alice) == ["one", "two"]


@pytest.mark.parametrize("who", [0, 1], ids=["who reads", "who waits"])
def test_a_client_that_leaves_does_not_take_the_others_along(kept, gate, alice, bob, who):
    write(alice, "one")

    async def story():
        tasks = await behind(kept, gate, alice, bob, bob)
        tasks[who].cancel()
        await asyncio.wait([tasks[who]], timeout=SECONDS)
        assert tasks[who].cancelled()
        gate.open()
        return await ended([task for task in tasks if task is not tasks[who]])

    assert async_to_sync(story)() == [[("one",)], [("one",)]]
    assert kept._reading == {}
    assert rows(kept, bob) == ["one"]


def test_a_read_that_fails_fails_for_its_own_client_only(kept, gate, alice, bob):
    write(alice, "one")

    async def story():
        tasks = await behind(kept, gate, alice, bob, bob)
        gate.fails = ConnectionError("the leader's")
        gate.open()
        return await ended(tasks)

    failed, *others = async_to_sync(story)()

    assert str(failed) == "the leader's"
    assert others == [[("one",)], [("one",)]]
    assert kept._reading == {}


def test_nobody_waits_for_a_read_of_another_event_loop(kept, alice):
    write(alice, "one")
    other = asyncio.new_event_loop()
    with creator_scope(alice.creator.id):
        key = memory_key(TITLES)
    kept._reading[key] = other.create_future()
    other.close()

    assert rows(kept, alice) == ["one"]
    assert kept._reading == {}
