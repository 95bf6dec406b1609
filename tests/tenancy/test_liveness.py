"""Whether an idle connection is still there, asked of its socket alone."""

import select
import socket
from types import SimpleNamespace

import pytest
from psycopg.pq import ConnStatus

from shared.tenancy.backend.liveness import is_gone
from tests.tenancy.gate import end_servers
from tests.tenancy.tools import connect

pytestmark = pytest.mark.django_db


def wait_for_news(session):
    """Until there is something to read on the session's socket."""
    news = select.poll()
    news.register(session.pgconn.socket, select.POLLIN)
    assert news.poll(20_000)


def test_a_connection_that_is_there_is_not_gone_and_is_not_asked():
    with connect() as idle, connect(autocommit=True) as other:
        ask = "SELECT query FROM pg_stat_activity WHERE pid = %s"
        assert not is_gone(idle)
        assert other.execute(ask, [idle.info.backend_pid]).fetchone() == ("",)
        assert not idle.closed


def test_a_connection_with_news_is_not_gone():
    with connect(autocommit=True) as idle, connect(autocommit=True) as other:
        idle.execute("LISTEN news")
        other.execute("NOTIFY news, 'heard'")
        wait_for_news(idle)

        assert not is_gone(idle)
        assert idle.pgconn.notifies().extra == b"heard"
        assert idle.execute("SELECT 1").fetchone() == (1,)


def test_a_connection_whose_server_has_gone_is_closed_on_this_side_too():
    with connect() as idle:
        end_servers({idle.info.backend_pid})

        assert is_gone(idle)
        assert idle.closed


def test_a_connection_that_never_stops_talking_is_given_up_and_closed():
    here, there = socket.socketpair()
    with here, there:
        there.send(b"!")  # which nobody takes away
        heard, finished = [], []
        libpq = SimpleNamespace(
            socket=here.fileno(),
            status=ConnStatus.OK,
            consume_input=lambda: heard.append("!"),
            finish=lambda: finished.append(True),
        )

        assert is_gone(SimpleNamespace(pgconn=libpq))
        assert heard
        assert finished == [True]
