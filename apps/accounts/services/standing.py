"""How somebody stands behind a token, as of this moment: the role, and whether the sign-in has ended.

Asked in the message, or in the transaction, that does the request's work: signing out and losing a membership count
at once, and cost no round trip of their own.
"""

from dataclasses import dataclass
from typing import Any

from shared.security.tokens import Claims, TokenInvalid
from shared.tenancy.actor import Actor, Role


@dataclass(frozen=True, slots=True)
class Standing:
    """An actor, what people call them and their creator, and how often the creator's rows have changed."""

    actor: Actor
    email: str
    user_name: str
    creator_name: str
    revision: int

    def described(self) -> str:
        return "\x1f".join((self.actor.role, self.email, self.user_name, self.creator_name))


class _Confirmation:
    """Asks the function `accounts_standing`, whose plan Postgres keeps for each connection."""

    sql = "SELECT role, email, user_name, creator_name, revision FROM accounts_standing(%s, %s, %s)"

    def parameters(self, claims: Claims) -> list[Any]:
        return [claims.user_id, claims.creator_id, claims.session_id]

    def read(self, claims: Claims, row: tuple[Any, ...] | None) -> Standing:
        """Raises `TokenInvalid` once the user is inactive, the membership is gone, or the sign-in has ended."""
        if row is None:
            raise TokenInvalid
        role, email, user_name, creator_name, revision = row
        actor = Actor(claims.user_id, claims.creator_id, Role(role), claims.scopes, claims.session_id)
        return Standing(actor, email, user_name, creator_name, revision)


confirmation = _Confirmation()


def describe_me(standing: Standing) -> dict[str, Any]:
    """Who is signed in, for which creator, as what."""
    actor = standing.actor
    return {
        "user": {"id": actor.user_id, "email": standing.email, "display_name": standing.user_name},
        "creator": {"id": actor.creator_id, "display_name": standing.creator_name},
        "role": actor.role,
    }
