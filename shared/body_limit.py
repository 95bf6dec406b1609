"""Stop a body that is too large while it arrives, before anything of it is kept."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings

from shared.exceptions import PayloadTooLarge

type Message = Mapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]


def body_limit(path: str) -> int:
    """How many bytes a request to this path may have."""
    uploads = re.fullmatch(settings.UPLOAD_ROUTE, path.rstrip("/")) is not None
    return int(settings.UPLOAD_BODY_BYTES if uploads else settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def announced_length(scope: Any) -> int:
    """What the Content-Length of an ASGI scope says; 0 without one."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def counting(receive: Receive, limit: int) -> Receive:
    """The same, which raises `PayloadTooLarge` when more than `limit` bytes have come, whatever was announced."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise too_large(limit)
        return message

    return counted


def too_large(limit: int) -> PayloadTooLarge:
    """The error for a body over its limit."""
    return PayloadTooLarge(f"A request to this address may have at most {limit} bytes.")
