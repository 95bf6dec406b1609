"""Answers that were given. Sealed: only the client's own key opens them, and the database holds just its hash."""

from django.db import models

from shared.tenancy.ids import uuid7
from shared.tenancy.models import BaseTenantModel


class Answer(models.Model):
    """What an idempotency key was answered with."""

    key_hash = models.BinaryField(max_length=32)
    fingerprint = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField()
    sealed_body = models.BinaryField()
    expires_at = models.DateTimeField()

    class Meta:
        abstract = True


class CreatorAnswer(Answer, BaseTenantModel):
    """An answer to a member of a creator."""

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "key_hash"], name="creator_answer_once"),
        ]
        indexes = [models.Index(fields=["creator", "expires_at"], name="creator_answer_expiry")]


class PublicAnswer(Answer):
    """An answer to somebody who is not signed in yet: a registration, a sign-in, a refresh."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key_hash"], name="public_answer_once")]
        indexes = [models.Index(fields=["expires_at"], name="public_answer_expiry")]
