from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import BaseUserManager

if TYPE_CHECKING:
    from apps.accounts.models import User


class UserManager(BaseUserManager["User"]):
    """Users by their e-mail address, which is kept in one spelling."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """The one spelling an address is stored and looked up in: trimmed and in lower case.

        Mail providers that tell Alice@ from alice@ do not exist outside RFC 5321; people who type their
        own address in both ways do.
        """
        return (email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=self.normalize_email(username))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A user who can sign in with `password`, or not at all when it is None."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A member of staff with every permission in the admin; a member of no creator."""
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})
