"""Signing in and out, with tokens for the API and with sessions for pages.

Passwords are verified by the door, outside the transaction: a hash takes as long as a hundred queries.
"""

from dataclasses import dataclass
from uuid import UUID

from django.contrib import auth
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.models import Membership, RefreshFamily, User
from apps.accounts.services.actors import SESSION_CREATOR
from apps.accounts.services.tokens import TokenPair, end_families, open_sign_in
from shared.exceptions import NotAuthenticated, PermissionDenied
from shared.tenancy.actor import Actor

_BACKEND = "django.contrib.auth.backends.ModelBackend"


class InvalidCredentials(NotAuthenticated):
    """The e-mail address or the password is wrong."""

    code = "invalid_credentials"


class NoCreator(PermissionDenied):
    """You are not a member of any creator. Ask one of its owners to add you."""

    code = "no_creator"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whom an address belongs to, and the hash that a password must match."""

    user_id: UUID
    password_hash: str


def find_credentials(*, email: str) -> Credentials | None:
    """The active account with this address, or None."""
    found = (
        User.objects.filter(email=User.objects.normalize_email(email), is_active=True)
        .values_list("id", "password")
        .first()
    )
    return Credentials(*found) if found else None


def log_in(*, credentials: Credentials) -> TokenPair:
    """Open a sign-in for credentials that were verified, for the creator the user has belonged to longest.

    Raises `InvalidCredentials` (401) when the password changed or the account was closed since it was
    verified, `NoCreator` (403) for somebody who belongs to none.
    """
    user = _verified(credentials)
    membership = _chosen(user)
    if membership is None:
        raise NoCreator
    user.last_login = timezone.now()
    user.save(update_fields=["last_login"])
    return open_sign_in(user, membership.creator)


def log_out(actor: Actor) -> None:
    """End the sign-in that the actor came with: its refresh token, and its access tokens at once."""
    if actor.session_id is not None:
        end_families([actor.session_id], RefreshFamily.Reason.LOGGED_OUT)


def start_session(*, request: HttpRequest, credentials: Credentials) -> None:
    """Sign the browser in for credentials that were verified. The session's key changes (no fixation).

    Raises as `log_in` does; staff need no creator, since the admin is theirs.
    """
    user = _verified(credentials)
    membership = _chosen(user)
    if membership is None and not user.is_staff:
        raise NoCreator
    auth.login(request, user, backend=_BACKEND)
    if membership is not None:
        request.session[SESSION_CREATOR] = str(membership.creator_id)


def end_session(*, request: HttpRequest) -> None:
    """Sign the browser out; the session's row goes."""
    auth.logout(request)


def _verified(credentials: Credentials) -> User:
    # Locked: a password that changes at this moment ends every sign-in, this one included.
    account = User.objects.select_for_update(no_key=True).filter(id=credentials.user_id, is_active=True)
    user = account.filter(password=credentials.password_hash).first()
    if user is None:
        raise InvalidCredentials
    return user


def _chosen(user: User) -> Membership | None:
    return user.memberships.select_related("creator").order_by("created_at", "id").first()
