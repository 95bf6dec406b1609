"""Whether a pooled connection is still there, asked without asking Postgres.

A pool's own `check` would ask, for a round trip in front of every use; and after a restart of Postgres, when all
connections of a pool have died at once, it waits longer and longer between one dead connection and the next.
"""

import select
from typing import Any

from psycopg import OperationalError
from psycopg.pq import ConnStatus

# What may have arrived meanwhile (a parameter's new value, a notice, the word that the server stops) is soon read.
_MOST_PIECES = 10


def is_gone(one: Any) -> bool:
    """Whether the server has closed an idle connection. If so it is closed on this side too.

    A socket that has nothing to read is alive, as far as this machine can know; one that can be read from has news,
    or has ended.
    """
    poll = select.poll()
    poll.register(one.pgconn.socket, select.POLLIN)
    for _ in range(_MOST_PIECES):
        if not poll.poll(0):
            return False
        try:
            one.pgconn.consume_input()
        except OperationalError:
            break
        if one.pgconn.status != ConnStatus.OK:
            break
    one.pgconn.finish()
    return True
