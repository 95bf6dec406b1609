"""Addresses that end in every way an answer can end, behind the hub's real middleware."""

import asyncio
import threading

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

seen = {}


async def plain(request):
    seen["threads"] = {thread.name for thread in threading.enumerate()}
    return HttpResponse(b"plain")


async def broken(request):
    raise ZeroDivisionError("a secret")


async def slow(request):
    seen["slow"] = "began"
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        seen["slow"] = "cancelled"
        raise
    return HttpResponse()


async def stream(request):
    async def parts():
        seen["stream"] = "began"
        try:
            for part in range(1000):
                yield b"%d\n" % part
                await asyncio.sleep(0.01)
            seen["stream"] = "ended"
        finally:
            seen["stream"] = seen["stream"] if seen["stream"] == "ended" else "closed"

    return StreamingHttpResponse(parts())


async def three(request):
    async def parts():
        for part in (b"one ", b"two ", b"three"):
            yield part

    return StreamingHttpResponse(parts())


async def echo(request):
    seen["stream_type"] = type(request._stream).__name__
    seen["on_disk"] = getattr(request._stream, "_rolled", False)
    return JsonResponse({"bytes": len(request.read())})


async def files(request):
    seen["file"] = request.FILES["file"]
    return JsonResponse({"bytes": request.FILES["file"].size, "path": request.FILES["file"].temporary_file_path()})


def sync(request):
    seen["thread"] = threading.current_thread()
    return HttpResponse(b"sync")


async def refused(request):
    return HttpResponse("not for machines", status=405, headers={"Allow": "GET"}, content_type="text/html")


urlpatterns = [
    path(f"api/v1/{view.__name__}", view) for view in (plain, broken, slow, stream, three, echo, files, sync, refused)
] + [path("api/v1/auth/login", echo), path("api/v1/documents", files)]
