"""A creator's events as Server-Sent Events: the same room as the sockets', over plain HTTP."""

import asyncio
from typing import Self

from django.http import StreamingHttpResponse

from shared.security.tokens import Claims
from shared.tenancy.events import Envelope
from shared.tenancy.live import Listening, doorkeeper, rooms

# A proxy closes a connection on which nothing is said for a while; most allow a minute.
QUIET_SECONDS = 15.0
# How long a client should wait before it comes back.
_RETRY_MS = 2000
# Events that wait for a client to take them, at most.
_MOST_WAITING = 100
_STILL_HERE = b": still here\n\n"
_END = b""


async def stream_events(claims: Claims, after: int | None) -> StreamingHttpResponse:
    """A response that goes on for as long as its client listens and the sign-in lasts.

    Raises `TokenInvalid` (401), `ServiceUnavailable` (503) and what Redis and Postgres raise when they are away.
    """
    stream = EventStream(await doorkeeper().admit_claims(claims), after)
    await rooms().join(stream)
    headers = {"X-Accel-Buffering": "no"}  # nginx would collect events until there are enough of them
    return StreamingHttpResponse(stream, content_type="text/event-stream", headers=headers)


class EventStream:
    """The body: an event's number as `id` and its envelope as `data`, and a comment where nothing happens.

    No `event` field: a browser's EventSource hands named events only to whoever asked for that name, and the envelope
    says its type. Whoever drops a stream calls `close()`, as Django does with the body of every response.
    """

    def __init__(self, listening: Listening, after: int | None) -> None:
        self.listening = listening
        self.seq = after
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._begun:
            self._begun = True
            rooms().begin(self)
            # A number without data is no event, but where a client begins that is cut off before the first one.
            return b"retry: %d\nid: %d\n\n" % (_RETRY_MS, self.seq or 0)
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                frame = await self._frames.get()
        except TimeoutError:
            return _STILL_HERE
        if frame == _END:
            raise StopAsyncIteration
        return frame

    async def deliver(self, event: Envelope) -> None:
        """Keep an event for the client, who may be slow: then whoever delivers waits."""
        await self._frames.put(b"id: %d\ndata: %b\n\n" % (event.seq, event.text.encode()))

    async def turn_out(self, error: Exception) -> None:
        """End the body. What was not taken yet is heard by whoever comes back, and may."""
        while not self._frames.empty():
            self._frames.get_nowait()
        self._frames.put_nowait(_END)
        self.close()

    def close(self) -> None:
        """Hear nothing more."""
        rooms().leave(self)
