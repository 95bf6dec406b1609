"""Many commands at a time on one connection to Redis: each gets its own answer, whatever becomes of the others."""

import asyncio

import pytest
from django.conf import settings
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from shared.redis_line import RedisLine

SECONDS = 20


@pytest.fixture
async def line():
    made = RedisLine(settings.REDIS_URL, patience=SECONDS)
    yield made
    await made.close()


class Server:
    """A Redis that answers what a test says, as RESP; what was asked stands in `asked`."""

    def __init__(self):
        self.asked, self.connections, self.ended = [], [], asyncio.Event()
        self.came = asyncio.Condition()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/0"
        return self

    async def __aexit__(self, *error):
        for writer in self.connections:
            writer.close()
        self._server.close()

    async def _meet(self, reader, writer):
        greeted = False
        while data := await reader.read(65536):
            if b"CLIENT" in data:  # redis-py introduces itself
                writer.write(b"+OK\r\n" * data.count(b"*"))
                continue
            if not greeted:
                self.connections.append(writer)
                greeted = True
            async with self.came:
                self.asked += [b"PING"] * data.count(b"PING")
                self.came.notify_all()
        self.ended.set()

    async def heard(self, count):
        async with asyncio.timeout(SECONDS), self.came:
            await self.came.wait_for(lambda: len(self.asked) >= count)


async def test_two_hundred_commands_at_once_share_a_connection_and_each_gets_its_own_answer(line):
    connection = await line.send("CLIENT", "ID")
    answers = await asyncio.gather(*(line.send("ECHO", f"word {number}") for number in range(200)))

    assert answers == [f"word {number}".encode() for number in range(200)]
    assert await line.send("CLIENT", "ID") == connection


async def test_an_error_is_its_own_commands_alone(line):
    first, wrong, script, last = await asyncio.gather(
        line.send("ECHO", "first"),
        line.send("INCR"),
        line.send("EVALSHA", "0" * 40, 0),
        line.send("ECHO", "last"),
        return_exceptions=True,
    )

    assert (first, last) == (b"first", b"last")
    assert type(wrong) is ResponseError
    assert isinstance(script, NoScriptError)
    with pytest.raises(ResponseError):
        await line.send("INCR")


async def test_who_stops_waiting_does_not_shift_the_others_answers(line):
    await line.send("PING")
    waiting = [asyncio.create_task(line.send("ECHO", f"word {number}")) for number in range(20)]
    await asyncio.sleep(0)  # all are on their way
    for task in waiting[::3]:
        task.cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)

    for number, answer in enumerate(answers):
        if number % 3:
            assert answer == f"word {number}".encode()
        else:
            assert isinstance(answer, asyncio.CancelledError)
    assert await line.send("ECHO", "after") == b"after"


async def test_a_silent_redis_is_an_error_for_everybody_who_waits():
    async with Server() as silent:
        line = RedisLine(silent.url, patience=0.2)
        answers = await asyncio.gather(*(line.send("PING") for _ in range(3)), return_exceptions=True)

        assert [type(answer) for answer in answers] == [TimeoutError] * 3
        async with asyncio.timeout(SECONDS):
            await silent.ended.wait()


async def test_a_redis_that_falls_silent_after_an_answer_is_an_error_too():
    async with Server() as server, asyncio.timeout(SECONDS):
        line = RedisLine(server.url, patience=0.2)
        answered = asyncio.create_task(line.send("PING"))
        await server.heard(1)
        server.connections[0].write(b"+PONG\r\n")
        assert await answered == b"PONG"
        await asyncio.sleep(0.1)  # the patience with the first is half gone when the second begins

        with pytest.raises(TimeoutError, match="silent"):
            await line.send("PING")


async def test_who_stops_waiting_for_the_connection_leaves_it_to_the_others(line):
    first, second = (asyncio.create_task(line.send("ECHO", word)) for word in ("first", "second"))
    await asyncio.sleep(0)  # both wait for the connection
    first.cancel()

    assert await second == b"second"
    assert first.cancelled()


async def test_a_lost_connection_is_an_error_for_who_waits_and_the_next_command_makes_another():
    async with Server() as server:
        line = RedisLine(server.url, patience=SECONDS)
        lost = [asyncio.create_task(line.send("PING")) for _ in range(3)]
        await server.heard(3)
        server.connections[0].write(b"$9\r\nhalf")  # an answer
        server.connections[0].close()
        answers = await asyncio.gather(*lost, return_exceptions=True)
        assert [type(answer) for answer in answers] == [RedisConnectionError] * 3

        again = asyncio.create_task(line.send("PING"))
        await server.heard(4)
        server.connections[1].write(b"+PONG\r\n")
        assert await again == b"PONG"
        await line.close()


async def test_an_address_where_nobody_listens_is_an_error_each_time():
    async with Server() as server:
        address = server.url
    line = RedisLine(address, patience=SECONDS)
    for _ in range(2):
        with pytest.raises(RedisConnectionError):
            await line.send("PING")


async def test_closing_tells_who_waits():
    async with Server() as server:
        line = RedisLine(server.url, patience=SECONDS)
        waiting = asyncio.create_task(line.send("PING"))
        await server.heard(1)
        await line.close()

        with pytest.raises(RedisConnectionError):
            await waiting


class Fleeting(Server):
    """Ends its first connection as soon as that has been made, and answers PING on the others."""

    async def _meet(self, reader, writer):
        self.connections.append(writer)
        first, greetings = len(self.connections) == 1, 0
        while data := await reader.read(65536):
            writer.write(b"+OK\r\n" * data.count(b"CLIENT") + b"+PONG\r\n" * data.count(b"PING"))
            greetings += data.count(b"SETINFO")
            if first and greetings == 2:  # redis-py's name and its version
                writer.close()
                return


async def test_a_connection_lost_as_soon_as_it_is_made_shifts_nobodys_answer():
    async with Fleeting() as server, asyncio.timeout(SECONDS):
        line = RedisLine(server.url, patience=SECONDS)
        lost = asyncio.create_task(line.send("ECHO", "lost"))
        await asyncio.sleep(0)
        await asyncio.wait([line._connecting])
        after = asyncio.create_task(line.send("PING"))

        with pytest.raises(RedisConnectionError):
            await lost
        assert await after == b"PONG"
        await line.close()
