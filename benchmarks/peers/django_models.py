"""The hub's tables as both Django peers see them: plain models that migrate nothing and scope nothing.

Which rows of `knowledge_document` there are is for Postgres's policy to say, so no query filters by the creator.
"""

from base64 import urlsafe_b64decode
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.functional import cached_property

from benchmarks.peers.contract import COLUMNS, Claims


class User(models.Model):
    """A person who signs in."""

    id = models.UUIDField(primary_key=True)
    email = models.EmailField(max_length=254)
    display_name = models.CharField(max_length=120)
    is_active = models.BooleanField(default=True)

    class Meta:
        managed = False
        db_table = "accounts_user"


class Creator(models.Model):
    """The tenant."""

    id = models.UUIDField(primary_key=True)
    display_name = models.CharField(max_length=120)

    class Meta:
        managed = False
        db_table = "accounts_creator"


class Membership(models.Model):
    """What a user may do for a creator."""

    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING, related_name="memberships")
    creator = models.ForeignKey(Creator, on_delete=models.DO_NOTHING, related_name="memberships")
    role = models.CharField(max_length=10)

    class Meta:
        managed = False
        db_table = "accounts_membership"


class RefreshFamily(models.Model):
    """One sign-in. Access tokens carry its id, so revoking it ends them."""

    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING, related_name="refresh_families")
    creator = models.ForeignKey(Creator, on_delete=models.DO_NOTHING, related_name="refresh_families")
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "accounts_refreshfamily"


class DocumentManager(models.Manager["Document"]):
    """Documents as rows, not as instances."""

    @cached_property
    def newest(self) -> models.QuerySet:
        """What an answer has of each document, newest first. Filter or slice it: it is shared.

        Built once, as filtering and running it costs a quarter less than building it anew.
        """
        return self.order_by("-id").values(*COLUMNS)


class Document(models.Model):
    """A file that a creator brought. The columns that no answer has are left out."""

    id = models.UUIDField(primary_key=True)
    title = models.CharField(max_length=200)
    filename = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    bytes = models.PositiveBigIntegerField()
    tags = ArrayField(models.CharField(max_length=50))
    status = models.CharField(max_length=10)
    stage = models.CharField(max_length=10)
    progress_done = models.PositiveIntegerField()
    progress_total = models.PositiveIntegerField()
    failure_code = models.CharField(max_length=40)
    failure_sentence = models.CharField(max_length=200)
    failure_action = models.CharField(max_length=200)
    version = models.PositiveIntegerField()
    live_version = models.PositiveIntegerField(null=True)
    page_count = models.PositiveIntegerField(null=True)
    chunk_count = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = DocumentManager()

    class Meta:
        managed = False
        db_table = "knowledge_document"


def role_of(claims: Claims) -> str | None:
    """What the person may do, None once the user, the membership or the sign-in is not good any more. One query."""
    members = Membership.objects.filter(
        user=claims.user_id,
        creator=claims.creator_id,
        user__is_active=True,
        user__refresh_families=claims.session_id,
        user__refresh_families__creator=claims.creator_id,
        user__refresh_families__revoked_at__isnull=True,
    )
    return members.values_list("role", flat=True).first()


def read_cursor(cursor: str) -> UUID:
    """The last id of the page before; what `contract.next_cursor` made a cursor of. Raises `ValueError`."""
    return UUID(bytes=urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
