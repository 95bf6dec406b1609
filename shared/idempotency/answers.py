"""Run a service once per idempotency key, and answer repetitions from what was stored."""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

import orjson
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException
from django.utils import timezone
from pydantic import BaseModel

from shared.exceptions import BadRequest, Conflict, ValidationFailed
from shared.idempotency.models import CreatorAnswer, PublicAnswer
from shared.security.sealing import open_sealed, seal
from shared.tenancy.actor import Actor, Asker
from shared.tenancy.names import global_lock_key, lock_key
from shared.tenancy.run import run_as, run_global
from shared.tenancy.scope import current_creator

KEPT_FOR = timedelta(hours=24)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class IdempotencyKeyInvalid(BadRequest):
    """An Idempotency-Key has 1 to 255 visible ASCII characters. A fresh UUID for each new request is best."""

    code = "idempotency_key_invalid"


class IdempotencyKeyReused(ValidationFailed):
    """This Idempotency-Key was used for another request. Use a new key for each new request."""

    code = "idempotency_key_reused"


class RequestInProgress(Conflict):
    """The first request with this Idempotency-Key is still running. Repeat it in a moment."""

    code = "request_in_progress"


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer as it goes over the wire."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class _Key:
    """One client's key for one route. `secret` opens the stored answer and is never stored."""

    secret: bytes
    fingerprints: tuple[bytes, ...]  # of the request; the first is stored, the others are from before a change of keys

    @property
    def hash(self) -> bytes:
        return sha256(b"stored answer:" + self.secret).digest()


async def answer_once(
    request: HttpRequest,
    status: int | Callable[[Any], int],
    schema: type[BaseModel] | None,
    service: Callable[..., Any],
    /,
    *,
    owner: str = "",
    fingerprint: bytes | None = None,
    **arguments: Any,
) -> HttpResponse:
    """Run a service for `request.actor` (or for nobody, before sign-in) and render what it returns, once per key.

    `status` may depend on the service's result; `schema` is the body's shape, None for an empty body. `owner` keeps
    the keys of people who are not signed in apart: pass the account. `fingerprint` stands for the body where that
    was a file: pass its hash and the fields beside it.

    Raises `IdempotencyKeyInvalid` (400), `RequestInProgress` (409), `IdempotencyKeyReused` (422), and whatever the
    service raises; a service that raised leaves nothing behind, so the same key may be tried again.
    """
    asking: Asker | None = getattr(request, "actor", None)
    key = _read_key(request, asking, owner, fingerprint)

    def once(*who: Actor) -> Rendered:
        if key is not None and (stored := _claim(key)) is not None:
            return stored
        result = service(*who, **arguments)
        answer = _render(status(result) if callable(status) else status, schema, result)
        if key is not None:
            _store(key, answer)
        return answer

    answer = await run_global(once) if asking is None else await run_as(asking, once)
    content_type = "application/json" if answer.body else None
    response = HttpResponse(answer.body, status=answer.status, content_type=content_type)
    if not answer.body:
        del response.headers["Content-Type"]
    return response


def _read_key(request: HttpRequest, asking: Asker | None, owner: str, fingerprint: bytes | None) -> _Key | None:
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    if not _KEY.fullmatch(given):
        raise IdempotencyKeyInvalid
    who = f"{asking.creator_id}/{asking.user_id}" if asking else f"nobody/{owner.strip().lower()}"
    secret = "\x1f".join([who, str(request.method), request.path, given]).encode()
    body = _body(request) if fingerprint is None else fingerprint
    query = request.META.get("QUERY_STRING", "").encode()
    # Peppered: a body may hold a password, and a client may choose keys that are easy to guess.
    peppers = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return _Key(
        secret,
        tuple(hmac.digest(pepper.encode() + secret, sha256(body).digest() + query, sha256) for pepper in peppers),
    )


def _body(request: HttpRequest) -> bytes:
    try:
        return request.body
    except RawPostDataException:
        return b""  # a form was parsed for an operation that reads none


def _answers() -> type[CreatorAnswer] | type[PublicAnswer]:
    return PublicAnswer if current_creator() is None else CreatorAnswer


def _claim(key: _Key) -> Rendered | None:
    """The answer already given to this key, or None when it is ours to give until the transaction ends."""
    name = key.hash.hex()
    number = global_lock_key("answer", name) if current_creator() is None else lock_key("answer", name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        if not cursor.fetchone()[0]:
            raise RequestInProgress(headers={"Retry-After": "1"})
    stored = _answers().objects.filter(key_hash=key.hash, expires_at__gt=timezone.now()).first()
    if stored is None:
        return None
    if not any(hmac.compare_digest(bytes(stored.fingerprint), known) for known in key.fingerprints):
        raise IdempotencyKeyReused
    return Rendered(stored.status, open_sealed(bytes(stored.sealed_body), key.secret))


def _render(status: int, schema: type[BaseModel] | None, result: Any) -> Rendered:
    if schema is None:
        return Rendered(status, b"")
    shaped = schema.model_validate(result, from_attributes=True)
    return Rendered(status, orjson.dumps(shaped.model_dump(mode="json")))


def _store(key: _Key, answer: Rendered) -> None:
    answers = _answers().objects
    now = timezone.now()
    answers.filter(expires_at__lte=now).delete()  # whoever writes sweeps up behind itself
    answers.create(
        key_hash=key.hash,
        fingerprint=key.fingerprints[0],
        status=answer.status,
        sealed_body=seal(answer.body, key.secret),
        expires_at=now + KEPT_FOR,
    )
