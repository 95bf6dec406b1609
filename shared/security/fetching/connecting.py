"""Opening connections to public addresses only: the one place where a fetch reaches the network."""
# ruff: noqa: ASYNC109  # these signatures are httpcore's

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import httpcore

from shared.config.env_constants import get_env_value
from shared.config.kinds import Network
from shared.security.addresses import Address
from shared.security.fetching.addresses import is_public, is_within
from shared.security.fetching.errors import UrlNotADocument, UrlNotPublic, UrlUnreachable
from shared.security.fetching.urls import Place

# The addresses of a name, as text. Raises OSError when it has none.
type Resolver = Callable[[str], Awaitable[list[str]]]

RESOLVE_SECONDS = 10.0
_MOST_ATTEMPTS = 4
# A lookup cannot be cancelled, only left behind. In threads of its own, so that a stranger's silent name server holds
# up other lookups at worst.
_lookups = ThreadPoolExecutor(8, thread_name_prefix="lookup")


async def resolve(name: str) -> list[str]:
    """The addresses of a name, as this machine's own resolver sees them."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_lookups, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    return [str(where[0]) for *_, where in found]


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """httpcore's way to the network, for one place: looks its name up once, judges every address, connects to one.

    Every address has to be public: a name with one public and one private address is an attempt, not a mistake.
    The networks of IMPORT_ALLOWED_NETWORKS count as public, those of IMPORT_REFUSED_NETWORKS do not.
    """

    def __init__(self, place: Place, resolver: Resolver, most_head_bytes: int) -> None:
        self._place = place
        self._resolver = resolver
        self._most_head_bytes = most_head_bytes
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the place's host. Raises `UrlNotPublic`, `UrlUnreachable`, httpcore's own."""
        addresses = self._judged(await self._addresses(host))
        for address in addresses[:_MOST_ATTEMPTS]:
            try:
                stream = await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            return BoundedStream(stream, self._most_head_bytes)
        raise UrlUnreachable

    async def _addresses(self, host: str) -> list[Address]:
        if self._place.address is not None:
            return [self._place.address]
        if self._place.is_inner_name and not _allowed_networks():
            raise UrlNotPublic  # unasked: whether such a name exists is nobody's business
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = await self._resolver(host)
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            raise (UrlNotPublic if self._place.is_inner_name else UrlUnreachable) from None
        return [ipaddress.ip_address(text) for text in dict.fromkeys(found)]

    def _judged(self, addresses: list[Address]) -> list[Address]:
        if not all(map(self._may_connect, addresses)):
            raise UrlNotPublic
        return addresses

    def _may_connect(self, address: Address) -> bool:
        if is_within(address, get_env_value("IMPORT_REFUSED_NETWORKS", fallback=True)):
            return False
        if is_within(address, _allowed_networks()):
            return True
        return is_public(address) and not self._place.is_inner_name


def _allowed_networks() -> list[Network]:
    return list(get_env_value("IMPORT_ALLOWED_NETWORKS", fallback=True))


class BoundedStream(httpcore.AsyncNetworkStream):
    """A connection that hands out only so many bytes: headers and chunk frames have no other bound."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, allowance: int) -> None:
        self._stream = stream
        self.allowance = allowance

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Some bytes. Raises `UrlNotADocument` when there were more than the allowance."""
        data = await self._stream.read(max_bytes, timeout)
        self.allowance -= len(data)
        if self.allowance < 0:
            raise UrlNotADocument
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """The same connection under TLS, with what is left of the allowance."""
        return BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout), self.allowance)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
