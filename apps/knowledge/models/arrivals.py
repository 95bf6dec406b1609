"""Other ways for documents to come in: addresses that are fetched, and archives of many files."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.knowledge.extraction.failures import Failure
from apps.knowledge.failures import FAILURES
from apps.knowledge.models.documents import Document
from shared.tenancy.models import BaseTenantModel


class Source(BaseTenantModel):
    """The address that a document is fetched from, and how often it is looked at again."""

    document = models.ForeignKey(Document, on_delete=models.DB_CASCADE, related_name="sources", db_index=False)
    url = models.CharField(max_length=2000, help_text="In its normal form.")
    refresh_hours = models.PositiveIntegerField(null=True, help_text="How often it is looked at. Null: never again.")
    etag = models.CharField(max_length=200, blank=True)
    last_modified = models.CharField(max_length=200, blank=True)
    content_sha256 = models.CharField(max_length=64, blank=True, help_text="Of what was fetched last.")
    checked_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    failure_code = models.CharField(max_length=40, blank=True, help_text="Why the last look failed.")

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "url"], name="source_url_once"),
            models.UniqueConstraint(fields=["creator", "document"], name="source_once_per_document"),
        ]
        indexes = [models.Index(fields=["creator", "next_check_at"], name="source_next_check")]

    def __str__(self) -> str:
        return self.url

    @property
    def failure(self) -> Failure | None:
        """Why the last look failed, in words, and what to do."""
        return FAILURES[self.failure_code] if self.failure_code else None


class Import(BaseTenantModel):
    """An archive of files, each of which becomes a document. `done` entries were looked at, `taken` became one."""

    class State(models.TextChoices):
        """What became of an import."""

        QUEUED = "queued", "waiting"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    filename = models.CharField(max_length=200)
    storage_path = models.CharField(max_length=255)
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    taken = models.PositiveIntegerField(default=0)
    fruitless = models.PositiveSmallIntegerField(default=0, help_text="Attempts in a row that got no further.")
    failure_code = models.CharField(max_length=40, blank=True)
    job = models.BigIntegerField(null=True, editable=False, help_text="The queue's number of the job that does it.")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(BaseTenantModel.Meta):
        indexes = [models.Index(fields=["creator", "state"], name="import_state")]

    def __str__(self) -> str:
        return self.filename

    @property
    def failure(self) -> Failure | None:
        """Why none of the rest was taken, in words, and what to do."""
        return FAILURES[self.failure_code] if self.failure_code else None


class SkippedEntry(BaseTenantModel):
    """An entry of an archive that became no document of its own, and why."""

    archive = models.ForeignKey(Import, on_delete=models.DB_CASCADE, related_name="skipped", db_index=False)
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=200, help_text="For display; never part of a path.")
    code = models.CharField(max_length=40)

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "archive", "position"], name="skipped_entry_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def sentence(self) -> str:
        """Why, in words."""
        return FAILURES[self.code].sentence
