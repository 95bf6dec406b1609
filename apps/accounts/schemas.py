"""What the sign-in operations take and give."""

import unicodedata
from typing import Annotated
from uuid import UUID

import email_validator
from ninja import Schema
from pydantic import AfterValidator, EmailStr, Field, StringConstraints

from shared.reading import Out

# An address is a name to sign in with here, and a private installation may well be called hub.local or hub.test.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

# Marks that turn the reading direction around, so that a name could pose as other words on a page.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def without_controls(text: str) -> str:
    """The text, unless it has a character that nobody types: a NUL (Postgres refuses it), a line break."""
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("control characters are not allowed")
    return text


def without_turns(text: str) -> str:
    """The text, unless it has marks that override its direction."""
    if not _TURNING.isdisjoint(text):
        raise ValueError("direction overrides are not allowed")
    return text


type Email = Annotated[EmailStr, Field(max_length=254)]
# An upper bound, since hashing takes time in proportion.
type Password = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(without_controls)]
type DisplayName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=120),
    AfterValidator(without_controls),
    AfterValidator(without_turns),
]
type Token = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(without_controls)]


class RegisterIn(Schema):
    """A new person."""

    email: Email
    password: Password
    display_name: DisplayName


class LoginIn(Schema):
    """Somebody who has an account."""

    email: Email
    password: Password


class RefreshIn(Schema):
    """A sign-in to go on with."""

    refresh_token: Token


class TokenPairOut(Out):
    """`access_token` goes into `Authorization: Bearer ...` for `expires_in` seconds; then refresh."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


class UserOut(Out):
    """A person."""

    id: UUID
    email: str
    display_name: str


class CreatorOut(Out):
    """A creator."""

    id: UUID
    display_name: str


class RegisteredOut(TokenPairOut):
    """A token pair, and what was made."""

    user: UserOut
    creator: CreatorOut
    role: str


class MeOut(Out):
    """Who is signed in, for which creator, as what."""

    user: UserOut
    creator: CreatorOut
    role: str
