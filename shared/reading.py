"""Answers to reads: confirmed, read and rendered without leaving the event loop, or 304 where nothing has changed.

An ETag holds the creator's revision as of the rows, sealed for one person and one address. When a client sends it back,
the same message that confirms its token asks Postgres for the rows only if that revision has passed. Nothing has to be
invalidated, since nothing is kept that the database has not just called current.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel, ConfigDict

from shared.security.tokens import Claims
from shared.tenancy.exchange import Rows
from shared.tenancy.names import memory_key
from shared.tenancy.reads import Read, Reading, Standing, read_as
from shared.tenancy.scope import creator_scope

_ETAG = re.compile(r'W/"([0-9a-z]{1,13})\.([0-9a-f]{24})\.([0-9a-f]{16})"')
_MOST_KEPT = 4096


class Out(BaseModel):
    """The base of what operations give. Plain Pydantic: reads are rendered from rows, hundreds in a second."""

    model_config = ConfigDict(from_attributes=True)


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """A read over HTTP: `shape(standing, rows, **values)` makes of its rows what `schema` renders.

    `kept` is for a read that costs more than a message: its rows are kept in memory with their revision, and of many
    that ask at once after a change only one reads them.
    """

    schema: type[BaseModel]
    shape: Callable[..., Any]
    read: Read | None = None
    kept: bool = False


async def answer_read(request: HttpRequest, answer: ReadAnswer, /, **values: Any) -> HttpResponse:
    """Render a read for the token of `request.actor`: 200 with an ETag, or 304 for a client that has it already.

    Raises `TokenInvalid` (401), and whatever `shape` raises.
    """
    claims: Claims = request.actor  # type: ignore[attr-defined]
    seal = _Seal(request, claims, answer.schema)
    known = seal.known(request.META.get("HTTP_IF_NONE_MATCH", ""))
    revision = known.revision if known else None
    reading = await _reading(answer, claims, revision, values)
    etag = seal.etag(reading.standing)
    if known is not None and reading.standing.revision == revision:
        if known.text == etag:
            return _with_headers(HttpResponse(status=304), etag)
        reading = await _reading(answer, claims, None, values)  # the rows stand, but not the person or the role
    shaped = answer.shape(reading.standing, reading.rows, **values)
    return _with_headers(rendered(answer.schema, shaped), etag)


def rendered(schema: type[BaseModel], value: Any) -> HttpResponse:
    """A value as `schema` has it, validated and written by Pydantic alone. For operations that are called often.

    ninja would validate it inside a model of its own, attribute by attribute, make plain data of it, and write that.
    """
    model = schema.__pydantic_validator__.validate_python(value, from_attributes=True)
    return HttpResponse(schema.__pydantic_serializer__.to_json(model), content_type="application/json")


def _with_headers(response: HttpResponse, etag: str) -> HttpResponse:
    if response.status_code == 304:
        del response.headers["Content-Type"]
    response.headers["ETag"] = etag
    # A client may keep the answer, and asks each time whether it still stands.
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Authorization"
    return response


async def _reading(answer: ReadAnswer, claims: Claims, unless: int | None, values: dict[str, Any]) -> Reading[Any]:
    if answer.kept and answer.read is not None:
        return await _kept.read(answer.read, claims, values)
    return await read_as(claims, answer.read, unless=unless, **values)


# ---- ETags


@dataclass(frozen=True, slots=True)
class _Known:
    """An ETag of ours that a client sent back, and the revision in it."""

    text: str
    revision: int


class _Seal:
    """Makes and opens the ETags of one address for one person. Nobody else can make one that opens."""

    def __init__(self, request: HttpRequest, claims: Claims, schema: type[BaseModel]) -> None:
        self._about = b"\x1f".join(
            [
                claims.creator_id.bytes,
                claims.user_id.bytes,
                _fingerprint(schema),
                request.path.encode("utf-8", "surrogatepass"),
                request.META.get("QUERY_STRING", "").encode("utf-8", "surrogatepass"),
            ]
        )

    def etag(self, standing: Standing) -> str:
        """Weak, since an answer may be compressed on its way."""
        who = standing.described().encode("utf-8", "surrogatepass")
        stands = blake2b(who, key=_key(), digest_size=8).hexdigest()
        return f'W/"{standing.revision:x}.{self._of(standing.revision)}.{stands}"'

    def known(self, header: str) -> _Known | None:
        """The first ETag in an `If-None-Match` that this seal made. Anything else was not sent, as far as we care."""
        for match in _ETAG.finditer(header[:1024]):
            try:
                revision = int(match[1], 16)
            except ValueError:
                continue
            if self._of(revision) == match[2]:
                return _Known(match[0], revision)
        return None

    def _of(self, revision: int) -> str:
        return blake2b(b"%x\x1f%b" % (revision, self._about), key=_key(), digest_size=12).hexdigest()


@lru_cache(maxsize=256)
def _fingerprint(schema: type[BaseModel]) -> bytes:
    """Changes with the shape of the answer, so that no client keeps an old one after an upgrade."""
    return blake2b(repr(schema.model_json_schema()).encode(), digest_size=8).digest()


@lru_cache(maxsize=4)
def _derived_key(secret: str) -> bytes:
    return blake2b(secret.encode(), person=b"hub etags", digest_size=32).digest()


def _key() -> bytes:
    return _derived_key(settings.SECRET_KEY)


# ---- Rows that are kept


class _Kept:
    """Rows in this process's memory, each with the revision that they are at least as new as.

    A request still asks the database, for its own token and for the revision; only the rows are spared. While one
    request reads them anew, others wait for it instead of reading the same.
    """

    def __init__(self) -> None:
        self._rows: OrderedDict[Any, tuple[int, Rows]] = OrderedDict()
        self._reading: dict[Any, asyncio.Future[tuple[int, Rows] | None]] = {}

    async def read(self, read: Read, claims: Claims, values: dict[str, Any]) -> Reading[Any]:
        """As `read_as`; the rows may be kept ones whose revision still stands."""
        with creator_scope(claims.creator_id):
            key = memory_key(read, *sorted(values.items()))
        other = self._reading.get(key)
        if other is not None and not other.done() and other.get_loop() is asyncio.get_running_loop():
            reading = await read_as(claims)
            found = await asyncio.shield(other)
            if found is not None and found[0] >= reading.standing.revision:
                return Reading(reading.standing, found[1])
        return await self._lead(key, read, claims, values)

    async def _lead(self, key: Any, read: Read, claims: Claims, values: dict[str, Any]) -> Reading[Any]:
        mine: asyncio.Future[tuple[int, Rows] | None] = asyncio.get_running_loop().create_future()
        self._reading[key] = mine
        found = None
        try:
            revision, rows = self._rows.get(key, (None, []))
            reading = await read_as(claims, read, unless=revision, **values)
            found = (reading.standing.revision, rows if reading.standing.revision == revision else reading.rows)
            self._keep(key, found)
            return Reading(reading.standing, found[1])
        finally:
            if self._reading.get(key) is mine:
                del self._reading[key]
            mine.set_result(found)  # None: it failed, or its client left; whoever waited reads for itself

    def _keep(self, key: Any, found: tuple[int, Rows]) -> None:
        self._rows[key] = found
        self._rows.move_to_end(key)
        if len(self._rows) > _MOST_KEPT:
            self._rows.popitem(last=False)

    def forget(self) -> None:
        """Keep nothing. For tests."""
        self._rows.clear()
        self._reading.clear()


_kept = _Kept()
