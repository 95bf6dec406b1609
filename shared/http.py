"""What the doors for HTTP share: the answer to an error, the handler of pages, middleware around Django's own."""

import asyncio
import mimetypes
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from asgiref.sync import ThreadSensitiveContext, markcoroutinefunction
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.exceptions import SuspiciousFileOperation
from django.core.handlers.asgi import ASGIHandler
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware as DjangoCsrf
from django.utils._os import safe_join

from shared.body_limit import Receive, Send, announced_length, body_limit, counting, too_large
from shared.exceptions import BadRequest, HubError, PayloadTooLarge, from_exception, page_response, problem_response

type Next = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


def is_api(request: HttpRequest) -> bool:
    """Whether a machine asks, which wants JSON, or a person, who wants a page."""
    return request.path.startswith(settings.MACHINE_PATHS)


def answer_error(request: HttpRequest, error: BaseException) -> HttpResponse:
    """Render any exception for the door it reached: problem+json for the API, a page for people."""
    hub_error = from_exception(error)
    return problem_response(request, hub_error) if is_api(request) else page_response(request, hub_error)


async def static_file(request: HttpRequest, path: str) -> HttpResponse:
    """A static file, as production or development has it. Raises `Http404` for one that does not exist."""
    return await (collected_file if settings.PRODUCTION else uncollected_file)(request, path)


async def uncollected_file(request: HttpRequest, path: str) -> HttpResponse:
    """A static file straight from where it was written, for development: nothing is collected, nothing is cached.

    Raises `Http404` for a file that does not exist.
    """
    return await _static_file(lambda: finders.find(path), path, "no-cache")


async def collected_file(request: HttpRequest, path: str) -> HttpResponse:
    """A collected static file, for production. Its name holds a hash of its content, so a browser may keep it for ever.

    Raises `Http404` for a file that does not exist.
    """
    return await _static_file(
        lambda: safe_join(settings.STATIC_ROOT, path), path, "public, max-age=31536000, immutable"
    )


async def _static_file(find: Callable[[], Any], path: str, keep: str) -> HttpResponse:
    content = await asyncio.to_thread(_read_static, find)
    kind, _ = mimetypes.guess_type(path)
    headers = {"Cache-Control": keep, "X-Content-Type-Options": "nosniff"}
    return HttpResponse(content, content_type=kind or "application/octet-stream", headers=headers)


def _read_static(find: Callable[[], Any]) -> bytes:
    try:
        found = find()
        if isinstance(found, str) and Path(found).is_file():
            return Path(found).read_bytes()
    except (SuspiciousFileOperation, OSError, ValueError):  # a name that no file can have
        pass
    raise Http404


class PagesHandler(ASGIHandler):
    """Django's handler, for pages and the admin, with threads that are used again and a limit on bodies.

    Django opens a thread for every request and ends it afterwards. Here each request has one to itself as well, but
    borrows it. What the handler refuses before there is a request looks like every other error.
    """

    def __init__(self) -> None:
        super().__init__()
        self._idle: list[ThreadPoolExecutor] = []

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        thread = self._idle.pop() if self._idle else ThreadPoolExecutor(1, thread_name_prefix="page")
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self.handle(scope, receive, send)
        finally:
            if len(self._idle) < settings.DATABASE_THREADS:
                self._idle.append(thread)
            else:
                thread.shutdown(wait=False)

    async def handle(self, scope: Any, receive: Receive, send: Send) -> None:
        limit = body_limit(scope["path"])
        try:
            if announced_length(scope) > limit:
                raise too_large(limit)
            await super().handle(scope, counting(receive, limit), send)
        except PayloadTooLarge as error:
            # Django reads the whole body before it answers, so nothing has been sent yet.
            await self.send_response(_without_request(scope, error), send)

    def create_request(self, scope: Any, body_file: Any) -> Any:
        request, refusal = super().create_request(scope, body_file)
        if refusal is None:
            return request, None
        return None, answer_unfit(scope, refusal)


def answer_unfit(scope: Any, refusal: HttpResponseBase) -> HttpResponse:
    """What Django refused before there was a request, as every other error looks."""
    return _without_request(scope, PayloadTooLarge() if refusal.status_code == 413 else BadRequest())


def _without_request(scope: Any, error: HubError) -> HttpResponse:
    asked = HttpRequest()
    asked.path = scope["path"]
    response = answer_error(asked, error)
    response.headers["Connection"] = "close"
    return response


class CsrfViewMiddleware(DjangoCsrf):
    """Django's. Reading a form's token may mean parsing its files, so that happens on a thread; the rest does not."""

    async def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:  # type: ignore[override]
        check = super().process_view
        if request.method in ("GET", "HEAD", "OPTIONS", "TRACE"):
            return check(request, *view)
        return await asyncio.to_thread(check, request, *view)


class ApiHeadersMiddleware:
    """The security headers of API answers: never cached by a proxy, never sniffed, never framed."""

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = await self.get_response(request)
        add_missing(response, _API_HEADERS)
        if settings.SECURE_HSTS_SECONDS and request.is_secure():
            response.headers.setdefault(
                "Strict-Transport-Security", f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains"
            )
        return response


def add_missing(response: HttpResponseBase, headers: dict[str, tuple[str, str]]) -> None:
    """Headers that the response does not have yet, as `{lower-case name: (name, value)}`.

    For constants on the way of every request: Django checks and converts each name and each value that is set.
    """
    response.headers._store = {**headers, **response.headers._store}


_API_HEADERS = {
    name.lower(): (name, value)
    for name, value in (
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
    )
}


class ParseUploadsMiddleware:
    """Read a form or an upload on a thread, before a view touches it: Django would parse it on the event loop.

    Strangers' uploads are not parsed at all; Django has spooled their bodies by then, as far as their limit let them.
    """

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        multipart = (request.content_type or "").startswith("multipart/form-data")
        if request.method == "POST" and multipart and getattr(request, "actor", None) is not None:
            try:
                await asyncio.to_thread(lambda: (request.POST, request.FILES))
            except Exception as error:
                return answer_error(request, error)
        return await self.get_response(request)


class ErrorsMiddleware:
    """Renders what a page's view raised, where Django would answer with a bare 500."""

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return await self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse:
        """Called by Django for a view that raised."""
        return answer_error(request, error)
