"""Fetch one URL into an open file: bounded in bytes, time and redirects, and to the public internet."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO

import httpcore
from django.utils.http import parse_header_parameters

from shared.config.env_constants import get_env_value
from shared.security.fetching.connecting import BoundedStream, PublicNetwork, Resolver, resolve
from shared.security.fetching.errors import (
    UrlNotADocument,
    UrlNotTrusted,
    UrlRedirects,
    UrlRefused,
    UrlTooLarge,
    UrlTooSlow,
    UrlUnreachable,
)
from shared.security.fetching.urls import Place, read_url

MOST_REDIRECTS = 5
MOST_HEAD_BYTES = 64 * 1024
CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0

_WRITE_BYTES = 256 * 1024
_LONGEST_VALIDATOR = 200
_REDIRECTS = (301, 302, 303, 307, 308)
# It may answer another time.
_PASSING = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came. `url` is where the redirects ended.

    `media_type` and `filename` are the server's own words, which may be any; `etag` and `last_modified` are for the
    next time. Nothing was written when it is `not_modified`.
    """

    url: str
    media_type: str = ""
    filename: str = ""
    bytes: int = 0
    etag: str = ""
    last_modified: str = ""
    not_modified: bool = False


async def fetch(
    url: str,
    to: IO[bytes],
    *,
    most_bytes: int,
    seconds: float,
    etag: str = "",
    last_modified: str = "",
    resolver: Resolver = resolve,
) -> Fetched:
    """Write what is at a URL to an open file, on a thread. With `etag` or `last_modified`: only if it changed.

    Sends no cookie and no credential, uses no proxy, follows at most 5 redirects, each judged like the first; none
    from https to http, where anybody on the way could change what the creator trusts. Raises a `FetchFailed`; what
    was written by then is to be thrown away.
    """
    headers = _request_headers(etag, last_modified)
    try:
        async with asyncio.timeout(seconds):
            place = read_url(url)
            for _ in range(MOST_REDIRECTS + 1):
                answer = await _Visit(place, headers, resolver).fetch(to, most_bytes)
                if isinstance(answer, Fetched):
                    return answer
                place = answer
            raise UrlRedirects
    except TimeoutError:
        raise UrlTooSlow from None


def _request_headers(etag: str, last_modified: str) -> dict[str, str]:
    wanted = {
        "User-Agent": f"CreatorHub (+{get_env_value('PUBLIC_URL', fallback=True)})",
        "Accept": "text/html,application/pdf;q=0.9,*/*;q=0.8",
        # What is not compressed cannot grow.
        "Accept-Encoding": "identity",
        "If-None-Match": etag,
        "If-Modified-Since": last_modified,
    }
    return {name: value for name, value in wanted.items() if value}


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request to one place, over a connection of its own."""

    place: Place
    headers: Mapping[str, str]
    resolver: Resolver

    async def fetch(self, to: IO[bytes], most_bytes: int) -> Fetched | Place:
        """What came, or where to go instead."""
        network = PublicNetwork(self.place, self.resolver, MOST_HEAD_BYTES)
        place = self.place
        url = httpcore.URL(scheme=place.scheme, host=place.host, port=place.port, target=place.target)
        headers = [("Host", place.authority), *self.headers.items(), ("Connection", "close")]
        times = {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": READ_SECONDS, "pool": CONNECT_SECONDS}
        # Reads every authority's certificate: some 40 ms.
        tls = await asyncio.to_thread(httpcore.default_ssl_context) if place.scheme == "https" else None
        with _reasons():
            async with (
                httpcore.AsyncConnectionPool(tls, network_backend=network) as pool,
                pool.stream("GET", url, headers=headers, extensions={"timeout": times}) as response,
            ):
                head = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                if response.status in _REDIRECTS:
                    return self._next_place(head)
                return await self._take(response, head, to, most_bytes)

    def _next_place(self, head: Mapping[str, str]) -> Place:
        if "location" not in head:
            raise UrlNotADocument
        following = self.place.follow(head["location"])
        if self.place.scheme == "https" and following.scheme == "http":
            raise UrlRedirects
        return following

    async def _take(
        self, response: httpcore.Response, head: Mapping[str, str], to: IO[bytes], most_bytes: int
    ) -> Fetched:
        asked_for_change = "If-None-Match" in self.headers or "If-Modified-Since" in self.headers
        if response.status == HTTPStatus.NOT_MODIFIED and asked_for_change:
            return Fetched(self.place.url, not_modified=True)
        _refuse_unusable(response.status, head)
        if int(head.get("content-length", 0)) > most_bytes:
            raise UrlTooLarge
        # Frames of a chunked answer may take as much again as the answer, and no more.
        stream = response.extensions["network_stream"]
        assert isinstance(stream, BoundedStream)
        stream.allowance = 2 * most_bytes + MOST_HEAD_BYTES
        size = await _write_body(response, to, most_bytes)
        if not size:
            raise UrlNotADocument
        return Fetched(
            self.place.url,
            media_type=head.get("content-type", "").partition(";")[0].strip().lower()[:100],
            filename=_filename(head.get("content-disposition", ""), self.place),
            bytes=size,
            etag=_validator(head.get("etag", "")),
            last_modified=_validator(head.get("last-modified", "")),
        )


def _refuse_unusable(status: int, head: Mapping[str, str]) -> None:
    if status in _PASSING or status >= 500:
        raise UrlUnreachable
    if 400 <= status < 500:
        raise UrlRefused
    if status != HTTPStatus.OK or head.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UrlNotADocument


async def _write_body(response: httpcore.Response, to: IO[bytes], most_bytes: int) -> int:
    """How many bytes were written. Raises `UrlTooLarge` before more than `most_bytes` are."""
    size, waiting = 0, bytearray()
    async for block in response.aiter_stream():
        size += len(block)
        if size > most_bytes:
            raise UrlTooLarge
        waiting += block
        if len(waiting) >= _WRITE_BYTES:
            await asyncio.to_thread(to.write, waiting)
            waiting = bytearray()
    await asyncio.to_thread(to.write, waiting)
    return size


@contextmanager
def _reasons() -> Iterator[None]:
    """httpcore's errors in our words."""
    try:
        yield
    except httpcore.ConnectError as error:
        cause = error.__cause__ or error.__context__
        raise (UrlNotTrusted if isinstance(cause, ssl.SSLCertVerificationError) else UrlUnreachable) from error
    except httpcore.ConnectTimeout as error:
        raise UrlUnreachable from error
    except httpcore.TimeoutException as error:
        raise UrlTooSlow from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise UrlUnreachable from error


def _filename(disposition: str, place: Place) -> str:
    """What the server calls the file; else what the address does."""
    try:
        named = parse_header_parameters(disposition)[1].get("filename", "")
    except ValueError:
        named = ""
    return named or place.filename


def _validator(value: str) -> str:
    """A validator that can be sent back as it is; "" for one that cannot, so that all is fetched the next time."""
    return value if len(value) <= _LONGEST_VALIDATOR and value.isascii() and value.isprintable() else ""
