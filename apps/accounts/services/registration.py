"""A new person with a creator of their own."""

from dataclasses import asdict, dataclass

from django.db import IntegrityError, transaction

from apps.accounts.models import Creator, Membership, User
from apps.accounts.services.tokens import open_sign_in
from shared.exceptions import Conflict
from shared.tenancy.actor import Role


class EmailTaken(Conflict):
    """There is an account with this e-mail address. Sign in instead."""

    code = "email_taken"


@dataclass(frozen=True, slots=True)
class NewAccount:
    """Who has just come in."""

    user: User
    creator: Creator
    role: Role


@dataclass(frozen=True, slots=True)
class Registered:
    """A new account, signed in through the API."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int
    user: User
    creator: Creator
    role: Role


def register_creator(*, email: str, password_hash: str, display_name: str) -> NewAccount:
    """Create a user, a creator of the same name, and make the one the owner of the other.

    Raises `EmailTaken` (409), also for the second of two that register at the same moment.
    """
    user = User(email=User.objects.normalize_email(email), password=password_hash, display_name=display_name)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        if "user_email_once" in str(error):
            raise EmailTaken from None
        raise
    creator = Creator.objects.create(display_name=display_name)
    Membership.objects.create(user=user, creator=creator, role=Role.OWNER)
    return NewAccount(user, creator, Role.OWNER)


def register_and_sign_in(*, email: str, password_hash: str, display_name: str) -> Registered:
    """`register_creator`, and the first token pair."""
    new = register_creator(email=email, password_hash=password_hash, display_name=display_name)
    tokens = open_sign_in(new.user, new.creator)
    return Registered(**asdict(tokens), user=new.user, creator=new.creator, role=new.role)
