"""The handler for `/api/`, `/health/` and the like: requests, responses, addresses, middleware of Django, no threads.

Django's own ASGI handler opens a thread per request and hops to it for signals and for closing. What this one leaves
out, and why that is safe, is listed in docs/decisions/0004-lean-handler.md; tests/lean has a test for each line of it.
"""

import asyncio
from functools import lru_cache
from inspect import iscoroutinefunction
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import HttpRequest, HttpResponseBase
from django.urls import get_resolver
from django.utils.module_loading import import_string

from shared.body_limit import Receive, Send, announced_length, body_limit, counting, too_large
from shared.exceptions import from_status, problem_response
from shared.http import Next, answer_error, answer_unfit
from shared.tenancy.reads import confirm_actor

# Most answers are there sooner, and then nobody has to listen for the client's leaving.
_LISTEN_AFTER_SECONDS = 0.05
# A body up to this size is kept in memory; a larger one is spooled, as Django does.
_SMALL_BODY_BYTES = 64 * 1024


class LeanRequest(ASGIRequest):
    """Django's request. Its body stays with the server until `fetch_body`, so that strangers' bodies are never read."""

    actor: Any  # set by ActorMiddleware

    def __init__(self, scope: Any, receive: Receive) -> None:
        super().__init__(scope, BytesIO())
        self._receive = receive
        self.body_ended = not _may_have_body(self)

    async def fetch_body(self, limit: int) -> None:
        """Read the body. Raises `PayloadTooLarge` over `limit` bytes, `RequestAborted` when the client is lost."""
        if self.body_ended:
            return
        if announced_length(self.scope) > limit:
            raise too_large(limit)
        receive = counting(self._receive, limit)
        if self.may_be_large():
            self._stream: Any = await ASGIHandler.read_body(_spooler, receive)
        else:
            self._stream = BytesIO(await _read_small(receive))
        self.body_ended = True

    def may_be_large(self) -> bool:
        """Whether the body would be spooled."""
        return not (self.body_ended or 0 < announced_length(self.scope) <= _SMALL_BODY_BYTES)

    async def left(self) -> None:
        """Return when the client has gone away. Call it when the body has ended."""
        while (await self._receive())["type"] != "http.disconnect":
            pass  # the empty body of a request that announced none


def _may_have_body(request: LeanRequest) -> bool:
    # RFC 9112, section 6.3: without either header an HTTP/1.1 request has no body. HTTP/2 needs neither.
    if request.scope["http_version"][0] == "1":
        return request.META.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in request.META
    return True


async def _read_small(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestAborted
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


class BodyMiddleware:
    """Reads the body once it is known who sends it, up to the limit of its address, and parses an upload on a thread.

    What nobody sends to a protected address is left unread: the answer is 401, and the connection ends.
    """

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    async def __call__(self, request: Any) -> HttpResponseBase:
        if request.method in ("GET", "HEAD") and getattr(request, "body_ended", True):
            return await self.get_response(request)
        nobody = request.actor is None and not request.path.startswith(settings.PATHS_WITHOUT_ACTOR)
        if not nobody:
            try:
                if isinstance(request, LeanRequest):
                    if request.actor is not None and request.may_be_large():
                        await confirm_actor(request.actor)  # whoever has signed out spools nothing here
                    await request.fetch_body(body_limit(request.path))
                if request.actor is not None and _is_upload(request):
                    await asyncio.to_thread(lambda: (request.POST, request.FILES))
            except RequestAborted:
                raise
            except Exception as error:
                return answer_error(request, error)
        return await self.get_response(request)


def _is_upload(request: HttpRequest) -> bool:
    return request.method == "POST" and (request.content_type or "").startswith("multipart/form-data")


class LeanHandler(ASGIHandler):
    """An ASGI application for the addresses of `settings.LEAN_URLCONF`, through `settings.LEAN_MIDDLEWARE`.

    Middleware is native async and returns a response; what it or a view raises becomes one. No signals are sent.
    """

    request_class = LeanRequest

    def load_middleware(self, is_async: bool = True) -> None:
        outermost, *others = [import_string(path) for path in settings.LEAN_MIDDLEWARE]
        chain: Next = _answering(self._call_view)
        for middleware in reversed(others):
            chain = middleware(chain)
        self._chain: Next = outermost(_answering(chain))
        self._resolver = get_resolver(settings.LEAN_URLCONF)
        self._fixed: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        request, refusal = self.create_request(scope, receive)
        if request is None:
            await self.send_response(refusal, send)
            return
        leaving = _Leaving(request)
        response: HttpResponseBase | None = None
        try:
            response = await self.respond(request)
            if not request.body_ended:
                response.headers["Connection"] = "close"  # what was not read cannot be told from the next request
            await self.send_response(response, send)
        except RequestAborted:
            pass  # the client left while it was sending
        except asyncio.CancelledError:
            if not leaving.client_left:  # then the server is stopping
                raise
        finally:
            leaving.stop()
            await _close(request, response)

    async def respond(self, request: HttpRequest) -> HttpResponseBase:
        """The answer to a request. Whoever calls this closes both."""
        return await self._chain(request)

    def create_request(self, scope: Any, receive: Any) -> Any:
        request, refusal = super().create_request(scope, receive)
        return request, answer_unfit(scope, refusal) if refusal is not None else None

    async def _call_view(self, request: HttpRequest) -> HttpResponseBase:
        match = self._resolve(request.path_info)
        request.resolver_match = match
        if _is_async(match.func):
            response: HttpResponseBase = await match.func(request, *match.args, **match.kwargs)
        else:  # ninja's own pages, which describe the API
            response = await asyncio.to_thread(match.func, request, *match.args, **match.kwargs)
        return _as_problem(request, response) if response.status_code >= 400 else response

    def _resolve(self, path: str) -> Any:
        """The view for a path. Addresses without a value in them are few, and remembered."""
        match = self._fixed.get(path)
        if match is None:
            match = self._resolver.resolve(path)
            if not match.kwargs and not match.args:
                self._fixed[path] = match
        return match

    async def send_response(self, response: Any, send: Send) -> None:
        """As Django's; a body that is whole goes in one message."""
        if response.streaming:
            await super().send_response(response, send)
            return
        pairs = response.headers._store.values()
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in pairs]
        body = response.content
        if body and not response.has_header("Content-Length"):
            headers.append((b"content-length", b"%d" % len(body)))  # else a server would send it in chunks
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})


_spooler = ASGIHandler.__new__(ASGIHandler)  # for its read_body, which needs no instance


class _Leaving:
    """Cancels the task that answers a request when its client goes away."""

    def __init__(self, request: LeanRequest) -> None:
        self.client_left = False
        self._request = request
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_LISTEN_AFTER_SECONDS, self._listen)
        self._listener: asyncio.Task[None] | None = None

    def stop(self) -> None:
        self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()

    def _listen(self) -> None:
        if self._request.body_ended:
            self._listener = self._loop.create_task(self._cancel_when_left())
        else:  # whoever reads the body notices
            self._timer = self._loop.call_later(_LISTEN_AFTER_SECONDS, self._listen)

    async def _cancel_when_left(self) -> None:
        await self._request.left()
        self.client_left = True
        if self._task is not None:
            self._task.cancel()


def _answering(get_response: Next) -> Next:
    """The same, with an answer for whatever it raises."""

    async def answered(request: HttpRequest) -> HttpResponseBase:
        try:
            return await get_response(request)
        except RequestAborted:
            raise
        except Exception as error:
            return answer_error(request, error)

    return answered


def _as_problem(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """An error that Django or ninja wrote for people (405, say), as problem+json."""
    if not response.headers.get("Content-Type", "").startswith("text/"):
        return response
    problem = problem_response(request, from_status(response.status_code))
    if "Allow" in response.headers:
        problem.headers["Allow"] = response.headers["Allow"]
    return problem


@lru_cache(maxsize=256)
def _is_async(view: Any) -> bool:
    return iscoroutinefunction(view)


async def _close(request: LeanRequest, response: Any) -> None:
    """Close files. Those of an upload lie on disk, so that happens on a thread."""
    closers = [*(response._resource_closers if response is not None else ()), request.close]
    if getattr(request, "_files", None) or getattr(request._stream, "_rolled", False):
        await asyncio.to_thread(lambda: [close() for close in closers])
        return
    for close in closers:
        close()
