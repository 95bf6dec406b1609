"""A client of an ASGI application, piece by piece: it can stop sending, leave, or wait."""

import asyncio
from dataclasses import dataclass, field


@dataclass
class Exchange:
    """One request, and what came back. `leave()` is the client going away."""

    path: str
    method: str = "GET"
    headers: tuple = ()
    pieces: list = field(default_factory=list)
    asked: int = 0
    status: int | None = None
    answered: dict = field(default_factory=dict)
    body: bytes = b""
    messages: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def through(self, application):
        await application(self.scope(), self._receive, self._send)
        return self

    def leave(self):
        self.left.set()

    def scope(self):
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost"), *self.headers],
            "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", 80),
        }

    async def _receive(self):
        self.asked += 1
        if self.pieces:
            piece = self.pieces.pop(0)
            if piece is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.answered = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.messages += 1
            self.body += message.get("body", b"")


def length(body):
    return (b"content-length", str(len(body)).encode())


CHUNKED = (b"transfer-encoding", b"chunked")
