"""Stop a body that is too large while it arrives, before Django spools it to disk."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from shared.exceptions import PayloadTooLarge

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type App = Callable[[Any, Receive, Send], Awaitable[None]]


class _TooLarge(Exception):
    """More arrived than was announced or allowed."""


class BodyLimit:
    """ASGI middleware: answers 413 to an HTTP request whose body is larger than its path may take.

    `upload_paths` may take `upload_bytes`, all others `other_bytes`. A body without a length is counted as it comes.
    """

    def __init__(self, app: App, *, upload_paths: tuple[str, ...], upload_bytes: int, other_bytes: int) -> None:
        self.app = app
        self.upload_paths = upload_paths
        self.upload_bytes = upload_bytes
        self.other_bytes = other_bytes

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.upload_bytes if scope["path"].rstrip("/") in self.upload_paths else self.other_bytes
        if _announced(scope) > limit:
            await _refuse(send, limit)
            return
        try:
            await self.app(scope, _counting(receive, limit), send)
        except _TooLarge:
            # Django reads the whole body before it answers, so nothing has been sent yet.
            await _refuse(send, limit)


def _announced(scope: Any) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _counting(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _TooLarge
        return message

    return counted


async def _refuse(send: Send, limit: int) -> None:
    error = PayloadTooLarge(f"A request to this address may have at most {limit} bytes.")
    problem = {
        "type": "about:blank",
        "title": "Payload too large",
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "request_id": None,
    }
    body = orjson.dumps(problem)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
