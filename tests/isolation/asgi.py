"""A client on the ASGI application itself: any bytes anywhere, as a server would hand them on."""

from asgiref.sync import async_to_sync


def call(method, raw_path, body=b"", headers=(), query=b"", parts=None):
    """`(status, headers, body)` of one request. `parts` is the body in pieces, of which no length is announced."""
    from config.asgi import application

    pieces = [body] if parts is None else list(parts)
    length = (b"content-length", str(len(body)).encode())
    announced = [length if parts is None else (b"transfer-encoding", b"chunked")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": raw_path,
        "raw_path": raw_path.encode("utf-8", "surrogatepass"),
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"localhost"), *announced, *headers],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 80),
    }
    return async_to_sync(_call)(application, scope, pieces)


async def _call(application, scope, pieces):
    import asyncio

    sent, status, answered = [], {}, asyncio.Event()

    async def receive():
        if pieces:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            status.update(code=message["status"], headers=message["headers"])
        else:
            sent.append(message.get("body", b""))
            if not message.get("more_body"):
                answered.set()

    await application(scope, receive, send)
    named = {name.decode().lower(): value.decode("latin-1") for name, value in status["headers"]}
    return status["code"], named, b"".join(sent)
