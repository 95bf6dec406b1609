"""A stranger's web server, on an address of its own: says any bytes, as slowly and for as long as it likes."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.security.fetching import fetch

# The internet of these tests. OURS stays ours.
HOME, OURS = "127.0.0.2", "127.0.0.1"
TEXT = b"Herons fish at dawn.\n" * 40

type Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole HTTP answer. Header names are written with underscores."""
    named = {"content_length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(status=status, location=location)


@dataclass
class Stranger:
    """The server: what it says at each path, and what it was asked."""

    scheme: str = "http"
    port: int = 0
    pages: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def at(self, path: str, host: str = HOME) -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.asked.append(request)
            said = self.pages.get(request.split()[1], answer(b"nothing here", "404 Not Found"))
            if callable(said):
                await said(writer)
            else:
                writer.write(said)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the hub hung up
        finally:
            writer.close()


@asynccontextmanager
async def stranger(*, host: str = HOME, tls: ssl.SSLContext | None = None) -> AsyncIterator[Stranger]:
    """A running server."""
    one = Stranger("https" if tls else "http")
    server = await asyncio.start_server(one.serve, host, 0, ssl=tls)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        server.close_clients()


@contextmanager
def in_a_thread() -> Iterator[Stranger]:
    """A running server on an event loop and a thread of its own."""
    ready: Future[tuple[Stranger, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        ending = asyncio.Event()
        async with stranger() as one:
            ready.set_result((one, asyncio.get_running_loop(), ending))
            await ending.wait()

    thread = Thread(target=asyncio.run, args=[run()])
    thread.start()
    one, loop, ending = ready.result(10)
    try:
        yield one
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS, for some names and HOME, and the file that makes a client trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a stranger")])
    now = dt.datetime.now(dt.UTC)
    alternatives = [*map(x509.DNSName, names), x509.IPAddress(ipaddress.ip_address(HOME))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    file, secret = folder / "certificate.pem", folder / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return context, file


class Names:
    """A resolver that answers each question with the next of its answers, and the last one from then on."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def __call__(self, name):
        self.asked.append(name)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def fetched(url, *, most_bytes=10_000_000, seconds=10, **more):
    file = BytesIO()
    said = await fetch(url, file, most_bytes=most_bytes, seconds=seconds, **more)
    return said, file.getvalue()


async def refused(reason, url, **more):
    """The fetch fails for this reason; what was written until then."""
    file = BytesIO()
    options = {"most_bytes": 10_000_000, "seconds": 10, **more}
    with pytest.raises(reason) as failure:
        await fetch(url, file, **options)
    assert type(failure.value) is reason
    return file.getvalue()
