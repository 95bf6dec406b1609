"""The scope: one creator, followed by the context, never two at once."""

import asyncio
import threading
from uuid import UUID

import pytest

from shared.tenancy.ids import uuid7
from shared.tenancy.scope import NoCreatorInScope, ScopeSwitch, creator_scope, current_creator, require_creator

# Always the same: they are part of the names of tests, and all workers must collect the same ones.
ACME, OTHER = UUID("0199a000-0000-7000-8000-00000000000a"), UUID("0199a000-0000-7000-8000-00000000000b")


def test_there_is_nobody_until_a_scope_opens_and_nobody_after_it_closes():
    assert current_creator() is None
    with creator_scope(ACME) as creator:
        assert creator == ACME == current_creator() == require_creator()
    assert current_creator() is None


def test_asking_for_a_creator_outside_raises():
    with pytest.raises(NoCreatorInScope):
        require_creator()


def test_the_same_creator_may_be_entered_again_and_stays_when_the_inner_scope_closes():
    with creator_scope(ACME):
        with creator_scope(UUID(str(ACME))):
            assert current_creator() == ACME
        assert current_creator() == ACME


def test_another_creator_inside_raises_and_changes_nothing():
    with creator_scope(ACME):
        with pytest.raises(ScopeSwitch), creator_scope(OTHER):
            pass
        assert current_creator() == ACME


def test_one_creator_may_follow_another():
    with creator_scope(ACME):
        pass
    with creator_scope(OTHER):
        assert current_creator() == OTHER


def test_an_error_closes_the_scope():
    with pytest.raises(ZeroDivisionError), creator_scope(ACME):
        raise ZeroDivisionError
    assert current_creator() is None


@pytest.mark.parametrize("creator", [str(ACME), ACME.bytes, None, 7, "'; DROP TABLE accounts_user; --"])
def test_only_a_uuid_names_a_creator(creator):
    with pytest.raises(TypeError), creator_scope(creator):
        pass


async def test_a_task_keeps_the_scope_it_was_started_in_and_none_leaks_out_of_it():
    started, finish = asyncio.Event(), asyncio.Event()

    async def work() -> UUID | None:
        started.set()
        await finish.wait()
        return current_creator()

    with creator_scope(ACME):
        task = asyncio.create_task(work())
    await started.wait()
    with creator_scope(OTHER):
        finish.set()
        assert await task == ACME
        assert current_creator() == OTHER


async def test_tasks_side_by_side_see_only_their_own_creator():
    async def work(creator: UUID) -> bool:
        with creator_scope(creator):
            for _ in range(20):
                await asyncio.sleep(0)
                if current_creator() != creator:
                    return False
        return True

    assert all(await asyncio.gather(*(work(uuid7()) for _ in range(50))))


def test_a_bare_thread_has_nobody():
    seen = []
    with creator_scope(ACME):
        thread = threading.Thread(target=lambda: seen.append(current_creator()))
        thread.start()
        thread.join()
    assert seen == [None]
