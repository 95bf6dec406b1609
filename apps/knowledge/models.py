"""What a creator brought, each processing of it, and the passages that search finds."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from pgvector.django import HalfVectorField

from apps.knowledge.embedding.dimensions import DIMENSIONS
from apps.knowledge.extraction.failures import FAILURES, Failure
from shared.tenancy.models import BaseTenantModel


class Status(models.TextChoices):
    """What became of a document, or of one version of it."""

    QUEUED = "queued", "waiting"
    PROCESSING = "processing", "processing"
    READY = "ready", "ready"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


UNFINISHED = (Status.QUEUED, Status.PROCESSING)


class Document(BaseTenantModel):
    """A file a creator brought, whatever became of it. Its status is its newest version's."""

    Status = Status

    title = models.CharField(max_length=200)
    filename = models.CharField(max_length=200, help_text="For display and downloads; never part of a path.")
    media_type = models.CharField(max_length=100)
    bytes = models.PositiveBigIntegerField()
    content_sha256 = models.CharField(max_length=64)
    storage_path = models.CharField(max_length=255)
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)

    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    stage = models.CharField(max_length=10, blank=True)
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    failure_code = models.CharField(max_length=40, blank=True)
    failure_sentence = models.CharField(max_length=200, blank=True)
    failure_action = models.CharField(max_length=200, blank=True)

    version = models.PositiveIntegerField(default=1, help_text="The newest version's number.")
    live_version = models.PositiveIntegerField(null=True, help_text="The version that answers searches.")
    page_count = models.PositiveIntegerField(null=True, help_text="Of the version that answers.")
    chunk_count = models.PositiveIntegerField(default=0, help_text="Of the version that answers.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    # Said by the service that took an upload: was work queued, and which stored file did the new one replace.
    accepted = False
    replaced_path = ""

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "content_sha256"], name="document_content_once"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_unfinished(self) -> bool:
        """Whether a worker has it, or will."""
        return self.status in UNFINISHED

    def begin_version(self, number: int) -> None:
        """Start over as version `number`; the version that answers now keeps answering."""
        self.version = number
        self.status = Status.QUEUED
        self.stage = ""
        self.progress_done = self.progress_total = 0
        self.set_failure(None)

    def set_failure(self, failure: Failure | None) -> None:
        """Put down a reason, or none."""
        self.failure_code = failure.code if failure else ""
        self.failure_sentence = failure.sentence if failure else ""
        self.failure_action = failure.action if failure else ""


class Version(BaseTenantModel):
    """One processing of a document."""

    document = models.ForeignKey(Document, on_delete=models.DB_CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    claim = models.UUIDField(
        null=True, editable=False, help_text="The run that may write. A later run takes it over, and the earlier stops."
    )
    page_count = models.PositiveIntegerField(null=True)
    chunk_count = models.PositiveIntegerField(default=0)
    failure_code = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "document", "number"], name="version_number_once"),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"

    @property
    def failure_sentence(self) -> str:
        """Why it failed, in words; "" when it did not."""
        return FAILURES[self.failure_code].sentence if self.failure_code else ""


class Stage(BaseTenantModel):
    """How far one step of a version's processing came."""

    class Name(models.TextChoices):
        """The steps, in order."""

        EXTRACT = "extract", "reading the text"
        CHUNK = "chunk", "cutting it into passages"
        EMBED = "embed", "learning their meaning"
        INDEX = "index", "indexing their words"
        VERIFY = "verify", "checking by a search"

    class State(models.TextChoices):
        """What became of a step."""

        PENDING = "pending", "waiting"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    version = models.ForeignKey(Version, on_delete=models.DB_CASCADE, related_name="stages", db_index=False)
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=10, choices=Name)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    milliseconds = models.PositiveIntegerField(default=0, help_text="Time spent, over all attempts.")

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "version", "position"], name="stage_position_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Chunk(BaseTenantModel):
    """A passage: what search finds and shows. Lies on one page, or under one heading."""

    document = models.ForeignKey(Document, on_delete=models.DB_CASCADE, related_name="chunks")
    version = models.ForeignKey(Version, on_delete=models.DB_CASCADE, related_name="chunks", db_index=False)
    position = models.PositiveIntegerField()
    text = models.TextField()
    page = models.PositiveIntegerField(null=True)
    heading = models.CharField(max_length=200, blank=True)
    tokens = models.PositiveIntegerField(help_text="Of the embedding model's tokenizer.")
    lexemes = SearchVectorField(null=True)
    lexeme_count = models.PositiveIntegerField(default=0, help_text="The passage's length, as ranking sees it.")
    embedding = HalfVectorField(dimensions=DIMENSIONS, null=True)

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "version", "position"], name="chunk_position_once"),
        ]

    def __str__(self) -> str:
        return f"passage {self.position}"
