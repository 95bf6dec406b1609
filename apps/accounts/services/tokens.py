"""Sign-ins through the API: families of refresh tokens, each good for one exchange."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from apps.accounts.models import Creator, RefreshFamily, RefreshToken, User
from apps.accounts.services.actors import membership_still_holds
from shared.config.env_constants import get_env_value
from shared.exceptions import NotAuthenticated
from shared.security.tokens import hash_refresh_token, issue_access_token, new_refresh_token


class InvalidRefreshToken(NotAuthenticated):
    """This refresh token is not valid. Sign in again."""

    code = "invalid_refresh_token"


class RefreshTokenReused(InvalidRefreshToken):
    """This refresh token is not valid. Sign in again."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client keeps. `expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "bearer"


def open_sign_in(user: User, creator: Creator) -> TokenPair:
    """Begin a family and hand out its first pair. The user's families that can never be used again go."""
    now = timezone.now()
    RefreshFamily.objects.filter(user=user).exclude(tokens__expires_at__gt=now).delete()
    return _next_pair(RefreshFamily.objects.create(user=user, creator=creator), now)


def rotate_refresh_token(*, refresh_token: str) -> TokenPair:
    """Exchange a refresh token for the next pair; it is spent by that.

    Raises `InvalidRefreshToken` (401), and its kind `RefreshTokenReused` for a spent one, which the door
    answers by ending the whole sign-in: nobody can tell the thief from the owner (RFC 9700, 4.14.2). There is
    no grace period; a client that lost the answer repeats with its Idempotency-Key and is given it again.
    """
    token = (
        RefreshToken.objects.select_for_update(of=("self", "family"))
        .select_related("family")
        .filter(token_hash=hash_refresh_token(refresh_token))
        .first()
    )
    now = timezone.now()
    if token is None or token.family.revoked_at or token.expires_at <= now:
        raise InvalidRefreshToken
    if token.used_at:
        raise RefreshTokenReused
    family = token.family
    if not membership_still_holds(user_id=family.user_id, creator_id=family.creator_id):
        raise InvalidRefreshToken
    token.used_at = now
    token.save(update_fields=["used_at"])
    family.tokens.filter(expires_at__lte=now).delete()
    return _next_pair(family, now)


def revoke_reused_sign_in(*, refresh_token: str) -> None:
    """End the sign-in that a spent token belongs to. A step of its own, since the refusal rolls back."""
    families = RefreshFamily.objects.filter(
        tokens__token_hash=hash_refresh_token(refresh_token), tokens__used_at__isnull=False
    )
    end_families(families.values_list("id", flat=True), RefreshFamily.Reason.REUSED)


def end_families(family_ids: Iterable[UUID], reason: RefreshFamily.Reason) -> int:
    """Revoke sign-ins that are not revoked yet; says how many."""
    alive = RefreshFamily.objects.filter(id__in=family_ids, revoked_at__isnull=True)
    return alive.update(revoked_at=timezone.now(), reason=reason)


def _next_pair(family: RefreshFamily, now: datetime) -> TokenPair:
    refresh_token = new_refresh_token()
    expires_at = now + timedelta(days=get_env_value("REFRESH_TOKEN_DAYS", fallback=True))
    RefreshToken.objects.create(family=family, token_hash=hash_refresh_token(refresh_token), expires_at=expires_at)
    access_token = issue_access_token(user_id=family.user_id, creator_id=family.creator_id, session_id=family.id)
    return TokenPair(access_token, refresh_token, get_env_value("ACCESS_TOKEN_SECONDS", fallback=True))
