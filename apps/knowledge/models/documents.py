"""What a creator brought, each processing of it, and the passages that search finds."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from apps.knowledge.extraction.failures import Failure
from apps.knowledge.failures import FAILURES
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
    """Something a creator brought, whatever became of it. Its status and its file are its newest version's."""

    Status = Status

    title = models.CharField(max_length=200)
    filename = models.CharField(max_length=200, help_text="For display and downloads; never part of a path.")
    media_type = models.CharField(max_length=100)
    bytes = models.PositiveBigIntegerField()
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

    # Said by the service that took an upload: was work queued, was the stored file taken, and which one did it replace.
    accepted = False
    taken = False
    replaced_path = ""

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
    """One processing of one content of a document. Several versions of the same content share its stored file."""

    class Origin(models.TextChoices):
        """Why there is a version."""

        UPLOAD = "upload", "uploaded"
        IMPORT = "import", "fetched"
        REPROCESS = "reprocess", "processed again"
        RESTORE = "restore", "restored"
        REFRESH = "refresh", "fetched again"

    document = models.ForeignKey(Document, on_delete=models.DB_CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.UPLOAD)
    filename = models.CharField(
        max_length=200, blank=True, help_text="For display and downloads; never part of a path."
    )
    media_type = models.CharField(max_length=100, blank=True)
    bytes = models.PositiveBigIntegerField(default=0)
    content_sha256 = models.CharField(max_length=64, blank=True, help_text="Empty until there is a stored file.")
    storage_path = models.CharField(max_length=255, blank=True, help_text="Empty until there is a stored file.")
    language = models.CharField(max_length=8, blank=True, help_text="ISO 639-1; empty where it cannot be told.")
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    claim = models.UUIDField(
        null=True, editable=False, help_text="The run that may write. A later run takes it over, and the earlier stops."
    )
    job = models.BigIntegerField(null=True, editable=False, help_text="The queue's number of the job that will do it.")
    turn = models.PositiveIntegerField(default=0, editable=False, help_text="Its place among all creators' work.")
    page_count = models.PositiveIntegerField(null=True)
    chunk_count = models.PositiveIntegerField(default=0)
    keeps_passages = models.BooleanField(default=False, help_text="It has answered, and could at once do so again.")
    live = models.BooleanField(default=False, help_text="It answers: its document's `live_version` is its number.")
    ordinal = models.PositiveIntegerField(null=True, editable=False, help_text="Its number in the postings of words.")
    patches = models.BinaryField(
        default=b"", editable=False, help_text="Passages that are indexed anew since: see `search.postings.PATCH`."
    )
    indexed_span = models.PositiveIntegerField(default=0, help_text="One more than its last passage's position.")
    indexed_passages = models.PositiveIntegerField(default=0, help_text="Passages that words are found in.")
    indexed_words = models.PositiveBigIntegerField(default=0, help_text="How many words these have.")
    failure_code = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "document", "number"], name="version_number_once"),
            models.UniqueConstraint(fields=["creator", "ordinal"], name="version_ordinal_once"),
            models.UniqueConstraint(
                fields=["creator", "document"], condition=models.Q(live=True), name="version_live_once_per_document"
            ),
        ]
        indexes = [
            models.Index(fields=["creator", "content_sha256"], name="version_content"),
            # What each search reads of the versions that answer.
            models.Index(
                fields=["creator"],
                include=["ordinal", "indexed_span", "indexed_passages", "indexed_words", "patches"],
                condition=models.Q(live=True),
                name="version_live",
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"

    @property
    def failure_sentence(self) -> str:
        """Why it failed, in words; "" when it did not."""
        return FAILURES[self.failure_code].sentence if self.failure_code else ""


class Stage(BaseTenantModel):
    """How far one step of a version's processing came: the ledger that says what is true."""

    class Name(models.TextChoices):
        """The steps, in order."""

        STORE = "store", "storing the file"
        SCAN = "scan", "checking the file"
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
    fruitless = models.PositiveSmallIntegerField(
        default=0, help_text="Attempts in a row that ended without a word and without getting any further."
    )
    started_at = models.DateTimeField(null=True, help_text="When the last attempt began.")
    heartbeat_at = models.DateTimeField(null=True, help_text="When a worker last said that it is at it.")
    done = models.PositiveIntegerField(default=0, help_text="Pages or passages, whatever the step works through.")
    total = models.PositiveIntegerField(default=0)
    milliseconds = models.PositiveIntegerField(default=0, help_text="Time spent, over all attempts.")
    failure_code = models.CharField(max_length=40, blank=True)

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "version", "position"], name="stage_position_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def failure(self) -> Failure | None:
        """Why it failed, in words, and what to do."""
        return FAILURES[self.failure_code] if self.failure_code else None


class Chunk(BaseTenantModel):
    """A passage: what search finds and shows. Lies on one page, or under one heading.

    `source` and `occurrence` say which passage of the file it is, whatever the creator made of its text: the hash of
    the text as it was read, and the how-manieth passage with that text it is.
    """

    document = models.ForeignKey(Document, on_delete=models.DB_CASCADE, related_name="chunks")
    version = models.ForeignKey(Version, on_delete=models.DB_CASCADE, related_name="chunks", db_index=False)
    position = models.PositiveIntegerField()
    text = models.TextField()
    page = models.PositiveIntegerField(null=True, help_text="Page, slide, sheet or chapter, counted from 1.")
    heading = models.CharField(max_length=200, blank=True)
    seconds = models.PositiveIntegerField(null=True, help_text="Where in a recording it is said.")
    source = models.UUIDField(null=True, editable=False)
    occurrence = models.PositiveIntegerField(default=0, editable=False)
    edited = models.BooleanField(default=False, help_text="Its text is the creator's, not the file's.")
    hidden = models.BooleanField(default=False, help_text="The creator wants no search to find it.")
    tokens = models.PositiveIntegerField(help_text="Of the embedding model's tokenizer.")
    lexemes = SearchVectorField(null=True)
    lexeme_count = models.PositiveIntegerField(default=0, help_text="The passage's length, as ranking sees it.")

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "version", "position"], name="chunk_position_once"),
        ]
        indexes = [models.Index(fields=["creator", "source"], name="chunk_source")]

    def __str__(self) -> str:
        return f"passage {self.position}"


class Correction(BaseTenantModel):
    """What a creator made of a passage. Applied again to every version in which that passage still stands."""

    document = models.ForeignKey(Document, on_delete=models.DB_CASCADE, related_name="corrections", db_index=False)
    source = models.UUIDField(editable=False)
    occurrence = models.PositiveIntegerField(default=0, editable=False)
    original = models.TextField(help_text="The passage as it was read.")
    text = models.TextField(null=True, help_text="What it says instead. Null: the original.")
    hidden = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["creator", "document", "source", "occurrence"], name="correction_once_per_passage"
            ),
        ]

    def __str__(self) -> str:
        return f"correction of {self.source}"
