import asyncio

import pytest
from django.contrib.auth.hashers import get_hasher

from shared.security import passwords
from shared.security.passwords import SignInBusy, hash_password, verify_password


async def test_a_password_is_stored_as_argon2id_at_owasps_strength():
    encoded = await hash_password("correct horse")

    assert encoded.startswith("argon2$argon2id$v=19$m=47104,t=1,p=1$")
    assert not get_hasher().must_update(encoded)


async def test_only_the_right_password_verifies():
    encoded = await hash_password("correct horse")

    assert await verify_password("correct horse", encoded) is True
    assert await verify_password("Correct horse", encoded) is False


@pytest.mark.parametrize("encoded", [None, "", "!unusable", "gibberish"])
async def test_somebody_unknown_costs_as_much_as_a_wrong_password(encoded, monkeypatch):
    hashed = []
    original = passwords.HubArgon2PasswordHasher.encode

    def counted(self, password, salt):
        hashed.append(salt)
        return original(self, password, salt)

    monkeypatch.setattr(passwords.HubArgon2PasswordHasher, "encode", counted)

    assert await verify_password("correct horse", encoded) is False
    assert len(hashed) == 1


async def test_the_event_loop_goes_on_while_passwords_are_hashed():
    hashing = asyncio.gather(*(hash_password("correct horse") for _ in range(4)))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1

    assert turns > 10


async def test_beyond_a_queue_people_are_asked_to_come_back(monkeypatch):
    import threading

    monkeypatch.setattr(passwords, "_waiting", threading.BoundedSemaphore(1))
    first = asyncio.create_task(hash_password("correct horse"))
    await asyncio.sleep(0)

    with pytest.raises(SignInBusy) as refused:
        await hash_password("correct horse")

    assert refused.value.status == 503
    await first
    assert await hash_password("correct horse")  # the place is free again


async def test_a_client_that_hangs_up_gives_its_place_back_only_when_the_work_is_done(monkeypatch):
    import threading

    monkeypatch.setattr(passwords, "_waiting", threading.BoundedSemaphore(3))
    hanging_up = [asyncio.create_task(hash_password("correct horse")) for _ in range(3)]
    await asyncio.sleep(0)
    for task in hanging_up:
        task.cancel()
    await asyncio.gather(*hanging_up, return_exceptions=True)

    for _ in range(200):
        try:
            assert await hash_password("correct horse")
            break
        except SignInBusy:
            await asyncio.sleep(0.05)
    else:
        pytest.fail("the places were never given back")


async def test_work_that_cannot_start_takes_no_place(monkeypatch):
    class Closed:
        def submit(self, work):
            raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(passwords, "_executor", Closed())
    before = passwords._waiting._value

    with pytest.raises(RuntimeError):
        await hash_password("correct horse")

    assert passwords._waiting._value == before
