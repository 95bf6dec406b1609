"""Argon2id at OWASP's strength, off the event loop, a few at a time."""

import asyncio
import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.contrib.auth.hashers import Argon2PasswordHasher, check_password, make_password

from shared.exceptions import ServiceUnavailable


class HubArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id, m = 47104 KiB, t = 1, p = 1: the first of OWASP's choices; 87 ms, where Django's takes 357."""

    time_cost = 1
    memory_cost = 47104
    parallelism = 1


# Each hash takes a core and 46 MiB. More at a time would only make all of them slower, requests included.
AT_A_TIME = max(1, min(4, (os.cpu_count() or 2) // 2))
# Beyond these, somebody is trying passwords: a queue of minutes helps nobody.
WAITING_AT_MOST = 50

_executor = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="password")
_waiting = threading.BoundedSemaphore(AT_A_TIME + WAITING_AT_MOST)


class SignInBusy(ServiceUnavailable):
    """Too many people are signing in right now. Try again in a moment."""

    code = "sign_in_busy"
    default_retry_after = 3


async def hash_password(password: str) -> str:
    """The password as Django stores it. Raises `SignInBusy` (503) where too many wait already."""
    return await _in_turn(functools.partial(make_password, password))


async def verify_password(password: str, encoded: str | None) -> bool:
    """Whether the password is the one behind `encoded`.

    For somebody unknown pass None: the answer is False, and takes as long as a wrong password, so that time
    does not tell which accounts exist. The same for an account without a usable password.
    """
    return await _in_turn(functools.partial(_verify, password, encoded))


def _verify(password: str, encoded: str | None) -> bool:
    # Django hashes once in vain for an unusable password, and False is what it answers.
    return bool(check_password(password, encoded or "!"))


async def _in_turn[T](work: Callable[[], T]) -> T:
    if not _waiting.acquire(blocking=False):
        raise SignInBusy
    try:
        future = _executor.submit(work)
    except BaseException:
        _waiting.release()
        raise
    # Released by the work and not by the caller: a client that hangs up does not free the thread.
    future.add_done_callback(lambda _: _waiting.release())
    return await asyncio.wrap_future(future)
