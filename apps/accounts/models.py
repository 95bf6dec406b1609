"""Who may sign in, for which creator. All tables but the audit log are global: sign-in reads them
before there is a creator to scope by, and only the services of this app do."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from apps.accounts.managers import UserManager
from shared.tenancy.actor import Role
from shared.tenancy.ids import uuid7
from shared.tenancy.models import BaseTenantModel


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in with an e-mail address."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField("e-mail address", max_length=254)
    display_name = models.CharField(max_length=120)
    is_active = models.BooleanField(default=True, help_text="Off: cannot sign in, and is signed out everywhere.")
    is_staff = models.BooleanField(default=False, help_text="May enter the admin.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["display_name"]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["email"], name="user_email_once"),
            # With the one above: unique whatever the case, on one index.
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_in_lower_case"),
        ]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        self.email = type(self).objects.normalize_email(self.email)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A new password ends every sign-in, as it ends every session: whoever had the old one is out."""
        # Django keeps the raw one until the row is saved, except where it only strengthens the hash.
        has_new_password = getattr(self, "_password", None) is not None and not self._state.adding
        super().save(*args, **kwargs)
        if has_new_password:
            alive = self.refresh_families.filter(revoked_at__isnull=True)
            alive.update(revoked_at=timezone.now(), reason=RefreshFamily.Reason.NEW_PASSWORD)

    def get_full_name(self) -> str:
        return self.display_name

    def get_short_name(self) -> str:
        return self.display_name


class Creator(models.Model):
    """The tenant: every row of the product belongs to exactly one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    display_name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        permissions = [("act_as_creator", "May act as a creator, with a reason, for an hour")]

    def __str__(self) -> str:
        return self.display_name


class Membership(models.Model):
    """What a user may do for a creator. Taking it away takes effect at once, on every door."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    creator = models.ForeignKey(Creator, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=[(role.value, role.value) for role in Role])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "creator"], name="membership_once_per_user_and_creator"),
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]), name="membership_role_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} is {self.role} at {self.creator_id}"


class RefreshFamily(models.Model):
    """One sign-in through the API, and every token that was rotated out of it. Access tokens carry its
    id, so revoking it ends them as well."""

    class Reason(models.TextChoices):
        """Why a sign-in ended before its time."""

        LOGGED_OUT = "logged_out", "logged out"
        REUSED = "reused", "a used token came back"
        NEW_PASSWORD = "new_password", "the password was changed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="refresh_families")
    creator = models.ForeignKey(Creator, on_delete=models.CASCADE, related_name="refresh_families")
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=20, choices=Reason, blank=True)

    class Meta:
        verbose_name_plural = "refresh families"

    def __str__(self) -> str:
        return str(self.id)


class RefreshToken(models.Model):
    """One use of a sign-in: spent when it is exchanged for the next. Only its hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    family = models.ForeignKey(RefreshFamily, on_delete=models.CASCADE, related_name="tokens")
    token_hash = models.CharField(max_length=64, help_text="SHA-256 of the token, in hexadecimal.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token_hash"], name="refresh_token_hash_once")]

    def __str__(self) -> str:
        return str(self.id)


class AuditEntry(BaseTenantModel):
    """What staff did while acting as this creator, and why. Written in the creator's scope: the creator's
    words never reach the admin's own log, which belongs to nobody."""

    user_id = models.UUIDField(help_text="Who did it. No key: the entry outlives the account.")
    action = models.CharField(max_length=40)
    reason = models.CharField(max_length=300)
    object_kind = models.CharField(max_length=100, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    detail = models.TextField(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta(BaseTenantModel.Meta):
        verbose_name_plural = "audit entries"
        ordering = ["-at"]
        indexes = [models.Index(fields=["creator", "-at"], name="audit_entry_by_time")]

    def __str__(self) -> str:
        return f"{self.action} {self.object_kind}".strip()
