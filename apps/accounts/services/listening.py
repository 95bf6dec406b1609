"""Who may hear a creator's news: proofs that many sockets' sign-ins still hold, in one visit."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from uuid import UUID

from django.conf import settings
from django.contrib.auth.middleware import get_user
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.models import Membership, RefreshFamily
from apps.accounts.services.actors import SESSION_CREATOR, load_session_actor
from shared.security.tokens import Claims
from shared.tenancy.live import Listening

_MEMBER = ("user_id", "creator_id", "user__password")


@dataclass(frozen=True, slots=True)
class TokenProof:
    """A bearer token: holds until it expires, its sign-in ends, or the membership does."""

    claims: Claims


@dataclass(frozen=True, slots=True)
class SessionProof:
    """A dashboard session, by hashes of what was read: while they are the same, so is what it says.

    `chosen` is whether the session names its creator. One that does not is read anew each time.
    """

    key: str
    data: bytes
    password: bytes
    chosen: bool


def load_session_listening(*, key: str) -> Listening | None:
    """Whoever a dashboard session belongs to, or None."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    # What vouches is read before what it vouches for: a change in between is noticed at the next question.
    stored = Session.objects.filter(session_key=key).values_list("session_data", flat=True).first()
    password = getattr(get_user(request), "password", None)
    actor = load_session_actor(request=request)
    if actor is None or stored is None or password is None:
        return None
    chosen = request.session.get(SESSION_CREATOR) is not None
    return Listening(actor, SessionProof(key, _hash(stored), _hash(password), chosen))


def still_listening(*, listening: Sequence[Listening]) -> list[Listening | None]:
    """In the same order: each that may still listen for the same creator, with its proof as of now, else None.

    Three queries for however many, apart from sessions that have changed, which are read anew.
    """
    members = _members(listening)
    families = _sign_ins([one.proof.claims.session_id for one in listening if isinstance(one.proof, TokenProof)])
    sessions = _sessions([one.proof.key for one in listening if isinstance(one.proof, SessionProof)])
    return [_still(one, members, families, sessions) for one in listening]


def _still(
    one: Listening,
    members: dict[tuple[UUID, UUID], str],
    families: set[tuple[UUID, UUID, UUID]],
    sessions: dict[str, bytes],
) -> Listening | None:
    who, proof = one.actor, one.proof
    password = members.get((who.user_id, who.creator_id))
    if password is None:
        return None
    if isinstance(proof, TokenProof):
        claims = proof.claims
        alive = claims.expires_at > time.time() and (claims.session_id, who.user_id, who.creator_id) in families
        return one if alive else None
    if not isinstance(proof, SessionProof) or proof.key not in sessions:
        return None
    if proof.chosen and sessions[proof.key] == proof.data and _hash(password) == proof.password:
        return one
    anew = load_session_listening(key=proof.key)
    return anew if anew is not None and anew.actor.creator_id == who.creator_id else None


def _members(listening: Sequence[Listening]) -> dict[tuple[UUID, UUID], str]:
    """The stored password of each who is a member of whom they listen to, by user and creator."""
    people = {one.actor.user_id for one in listening}
    creators = {one.actor.creator_id for one in listening}
    found = Membership.objects.filter(user__in=people, creator__in=creators, user__is_active=True)
    return {(user, creator): password for user, creator, password in found.values_list(*_MEMBER)}


def _sign_ins(ids: Collection[UUID]) -> set[tuple[UUID, UUID, UUID]]:
    alive = RefreshFamily.objects.filter(id__in=ids, revoked_at__isnull=True) if ids else RefreshFamily.objects.none()
    return set(alive.values_list("id", "user_id", "creator_id"))


def _sessions(keys: Collection[str]) -> dict[str, bytes]:
    if not keys:
        return {}
    alive = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    return {key: _hash(data) for key, data in alive.values_list("session_key", "session_data")}


def _hash(text: str) -> bytes:
    return sha256(text.encode()).digest()
