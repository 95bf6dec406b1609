"""Who acts, for which creator, with which role. Made only by authentication (and by a job that carries one)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from uuid import UUID

from shared.exceptions import PermissionDenied
from shared.security.tokens import Claims


class RoleRequired(PermissionDenied):
    """Your role does not allow this."""

    code = "role_required"


class Role(StrEnum):
    """What a member may do; each role may do everything that the one before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"
    OWNER = "owner"

    def at_least(self, other: "Role") -> bool:
        """Whether this role includes the other."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Actor:
    """One person, acting for one creator.

    `session_id` is the family of refresh tokens behind a bearer token, None for a dashboard session.
    `acting_reason` is set when staff act as a creator, and says why.
    """

    user_id: UUID
    creator_id: UUID
    role: Role
    scopes: frozenset[str] = frozenset()
    session_id: UUID | None = None
    acting_reason: str = ""

    def require(self, role: Role) -> None:
        """Raise `RoleRequired` unless this actor's role includes `role`."""
        if not self.role.at_least(role):
            raise RoleRequired(f"This needs the role {role.value}; yours is {self.role.value}.")

    def to_job(self) -> dict[str, str]:
        """The actor as a job's argument: JSON, ids and a role, nothing secret."""
        return {"user_id": str(self.user_id), "creator_id": str(self.creator_id), "role": self.role.value}

    @classmethod
    def from_job(cls, carried: dict[str, str]) -> Self:
        """The actor that `to_job` wrote down."""
        return cls(
            user_id=UUID(carried["user_id"]),
            creator_id=UUID(carried["creator_id"]),
            role=Role(carried["role"]),
        )


# Whoever asks: confirmed, or with a token that the database has yet to confirm.
type Asker = Actor | Claims
