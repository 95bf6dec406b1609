"""`make sockets`: a thousand open sockets on one worker. What each takes of memory, and how soon news is everywhere.

All belong to members of one creator, each signed in for itself, half by session and half by token: the dearest case,
since every sign-in is asked about before an event is passed on. Prints one line of JSON at the end.
"""

import argparse
import asyncio
import base64
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import httpx

from benchmarks.bench import start
from benchmarks.stage import Server, stage
from shared.config.env_constants import PROJECT_ROOT

_QUIET_SECONDS = 0.3


class Listener(asyncio.Protocol):
    """The least of a websocket client (RFC 6455): shakes hands, answers pings, and says when a text frame has come."""

    def __init__(self, port: int, header: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.hello = (
            f"GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{header}\r\n\r\n"
        )
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._news: asyncio.Future[float] | None = None
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.hello.encode())

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._data += data
        if not self.opened.done():
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            self._data = rest
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.opened.set_exception(ConnectionError(head.decode()))
                return
            self.opened.set_result(None)
        while (frame := self._frame()) is not None:
            kind, payload = frame
            if kind == 9:
                self.transport.write(bytes([0x8A, 0x80 | len(payload), 0, 0, 0, 0]) + payload)  # masked with nothing
            if kind == 8:
                raise SystemExit(f"The hub closed a socket with {int.from_bytes(payload[:2])}.")
            if kind == 1 and self._news is not None and not self._news.done():
                self._news.set_result(now)

    def expect(self) -> asyncio.Future[float]:
        """When the next event has come, by `time.perf_counter`."""
        self._news = asyncio.get_running_loop().create_future()
        return self._news

    def _frame(self) -> tuple[int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        size, begin = data[1] & 0x7F, 2
        if size == 126:
            size, begin = int.from_bytes(data[2:4]), 4
        if len(data) < begin + size:
            return None
        self._data = data[begin + size :]
        return data[0] & 0x0F, data[begin : begin + size]


async def listen(server: Server, people: list[dict[str, str]]) -> list[Listener]:
    """Open a socket for each, fifty at a time."""
    loop = asyncio.get_running_loop()
    at_once = asyncio.Semaphore(50)

    async def one(person: dict[str, str]) -> Listener:
        told = (
            f"Authorization: Bearer {person['token']}"
            if "token" in person
            else f"Cookie: sessionid={person['session']}"
        )
        async with at_once:
            _, listener = await loop.create_connection(lambda: Listener(server.port, told), "127.0.0.1", server.port)
            await listener.opened
            return listener

    return list(await asyncio.gather(*(one(person) for person in people)))


def memory(server: Server) -> int:
    """Bytes that the server's processes hold for themselves."""
    return sum(process.memory_full_info().uss for process in server.processes())


async def tell(server: Server, owner: dict[str, str], listeners: list[Listener], times: int) -> list[float]:
    """Rename a document this often; the milliseconds from each request to each listener's hearing of it."""
    latencies = []
    headers = {"Authorization": f"Bearer {owner['token']}"}
    async with httpx.AsyncClient(base_url=f"{server.address}/api/v1", headers=headers, timeout=30) as client:
        made = await client.post("/documents", files={"file": ("heard.txt", b"words that are heard")})
        address = f"/documents/{made.raise_for_status().json()['id']}"
        await asyncio.sleep(_QUIET_SECONDS)
        for number in range(times):
            news = [listener.expect() for listener in listeners]
            sent = time.perf_counter()
            (await client.patch(address, json={"title": f"Heard {number}"})).raise_for_status()
            _, missing = await asyncio.wait(news, timeout=10)
            if missing:
                raise SystemExit(f"{len(missing)} of {len(news)} sockets heard nothing for 10 s.")
            latencies += [(future.result() - sent) * 1000 for future in news]
            await asyncio.sleep(_QUIET_SECONDS)
    return latencies


async def measure(server: Server, people: list[dict[str, str]], events: int) -> dict[str, float]:
    """Open a tenth of the sockets to warm up, then the others; tell them all."""
    owner, *people = people
    first = await listen(server, people[: len(people) // 10])
    await tell(server, owner, first, 10)
    before = memory(server)
    others = await listen(server, people[len(first) :])
    listeners = first + others
    latencies = sorted(await tell(server, owner, listeners, events))
    after = memory(server)
    return {
        "sockets": len(listeners),
        "kb_each": round((after - before) / len(others) / 1024, 1),
        "p50_ms": round(statistics.median(latencies), 1),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--events", type=int, default=100)
    wanted = parser.parse_args()
    with stage(creators=1, documents=2) as ground:
        seed = [sys.executable, "-m", "benchmarks.seed_listeners", str(wanted.sockets)]
        done = subprocess.run(seed, cwd=PROJECT_ROOT, env=ground.environment, stdout=subprocess.PIPE, check=True)
        server = start("hub", ground)
        try:
            print(json.dumps(asyncio.run(measure(server, json.loads(done.stdout), wanted.events))))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
