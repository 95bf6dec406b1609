"""A gate in Postgres: a read that has reached it stays on its way until the test opens it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.tenancy.tools import connect

_NUMBER = 4711
_SECONDS = 20
# A statement that waits at the gate, whatever follows it in the message.
PASS_GATE = f"SELECT pg_advisory_xact_lock_shared({_NUMBER})"
_WAITING = """
SELECT pid FROM pg_locks
 WHERE locktype = 'advisory' AND objid = %s AND NOT granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Gate:
    """Shut when it is made. `reached` names the servers that wait at it, by their process ids."""

    def __init__(self, holder: Any) -> None:
        self._holder = holder
        self._holder.execute("SELECT pg_advisory_lock(%s)", [_NUMBER])

    def open(self) -> None:
        self._holder.execute("SELECT pg_advisory_unlock(%s)", [_NUMBER])

    async def reached(self, count: int = 1, *, beside: set[int] = frozenset()) -> set[int]:
        """The `count` servers that wait at the gate, as soon as they do; those in `beside` do not count."""
        return await until(lambda: len(servers := self._waiting() - beside) >= count and servers)

    def _waiting(self) -> set[int]:
        return {pid for (pid,) in self._holder.execute(_WAITING, [_NUMBER])}


async def until(happens: Callable[[], Any]) -> Any:
    """The first true answer of `happens`."""
    async with asyncio.timeout(_SECONDS):
        while not (answer := happens()):
            await asyncio.sleep(0.005)
        return answer


@contextmanager
def shut_gate() -> Iterator[Gate]:
    """A gate that is open at the end, so that nobody is left waiting."""
    with connect(autocommit=True) as holder:
        yield Gate(holder)


def end_servers(pids: set[int]) -> None:
    """End these servers' connections, and return once they are gone."""
    with connect(autocommit=True) as other:
        for pid in pids:
            assert other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid]).fetchone() == (True,)
