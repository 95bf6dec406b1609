"""Golden questions: what searches should find for them, and what they did find after every change."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.knowledge.golden import is_regression
from apps.knowledge.models.documents import Document
from shared.tenancy.models import BaseTenantModel


class GoldenQuestion(BaseTenantModel):
    """A question, and the document or the passage that searches should find for it.

    A passage is named as a `Correction` names it, by `source` and `occurrence`, so it is the same one however often its
    document is processed. The document may go; the question stays and says so.
    """

    class State(models.TextChoices):
        """How a question stands."""

        WAITING = "waiting", "not tried yet"
        FOUND = "found", "found"
        NOT_FOUND = "not_found", "not found"
        REGRESSED = "regressed", "worse than before"
        TARGET_GONE = "target_gone", "its document was deleted"

    question = models.CharField(max_length=500)
    document = models.ForeignKey(Document, on_delete=models.DB_SET_NULL, null=True, related_name="golden_questions")
    document_title = models.CharField(max_length=200, help_text="The document's, also when it is there no more.")
    source = models.UUIDField(null=True, editable=False, help_text="Null: any passage of the document will do.")
    occurrence = models.PositiveIntegerField(default=0, editable=False)
    passage = models.TextField(blank=True, help_text="What the passage says, for display.")
    passage_gone = models.BooleanField(default=False, help_text="The version that answers has no such passage.")
    edition = models.PositiveIntegerField(default=1, editable=False, help_text="Counts changes of what is asked for.")

    rank = models.PositiveSmallIntegerField(null=True)
    ranked_at = models.DateTimeField(null=True, help_text="Null: no run has tried it yet.")
    rank_before = models.PositiveSmallIntegerField(null=True, help_text="The last one that was no regression.")
    ranked_before_at = models.DateTimeField(null=True)
    regressed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    # Said by the services that pin one and read one: newest first, what the last runs found.
    is_new = False
    history: list["GoldenResult"]

    def __str__(self) -> str:
        return self.question

    @property
    def state(self) -> str:
        """How it stands now."""
        if self.document_id is None:
            return self.State.TARGET_GONE
        if self.ranked_at is None:
            return self.State.WAITING
        if self.regressed:
            return self.State.REGRESSED
        return self.State.NOT_FOUND if self.rank is None else self.State.FOUND

    def note_rank(self, rank: int | None, *, at: datetime, passage_gone: bool) -> bool:
        """Take the rank of a run; returns whether that is a regression which was none before.

        While a question is worse than before, `rank_before` stays the rank that it fell from: the warning ends when
        the rank is good again, not with the next run that finds nothing either.
        """
        if not self.regressed:
            self.rank_before, self.ranked_before_at = self.rank, self.ranked_at
        was, self.regressed = self.regressed, is_regression(self.rank_before, rank)
        self.rank, self.ranked_at, self.passage_gone = rank, at, passage_gone
        return self.regressed and not was

    def lose_document(self, title: str) -> None:
        """Expect nothing that can be found any more; what it was called stays for display."""
        if not self.regressed:
            self.rank_before, self.ranked_before_at = self.rank, self.ranked_at
        self.rank, self.regressed = None, False
        self.document, self.document_title = None, title

    def begin_anew(self) -> None:
        """Forget its ranks: the next run is the first."""
        self.rank = self.ranked_at = None
        self.accept()

    def accept(self) -> None:
        """Take the rank of now for good: the next run compares with it."""
        self.rank_before = self.ranked_before_at = None
        self.regressed = False


class GoldenRun(BaseTenantModel):
    """One trying of all golden questions of a creator. At most one waits, and one is being done.

    A trial tries a model that does not answer, to compare: it stands beside these, and changes no question.
    """

    class State(models.TextChoices):
        """What became of a run."""

        QUEUED = "queued", "waiting"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    class Reason(models.TextChoices):
        """Why there is a run."""

        DOCUMENT_READY = "document_ready", "a version of a document is ready"
        DOCUMENT_RESTORED = "document_restored", "an earlier version answers again"
        DOCUMENT_DELETED = "document_deleted", "a document was deleted"
        TITLE_CHANGED = "title_changed", "a document has another title"
        PASSAGE_CHANGED = "passage_changed", "a passage was edited, hidden or shown"
        MODEL_CHANGED = "model_changed", "another embedding model is in use"
        QUESTIONS_CHANGED = "questions_changed", "a question was pinned or changed"
        ASKED_FOR = "asked_for", "somebody asked for it"
        MODEL_FILLED = "model_filled", "another embedding model has seen all passages"

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    trial = models.BooleanField(default=False, help_text="Of the model in `embedder`, whichever answers.")
    reasons = ArrayField(models.CharField(max_length=20, choices=Reason), default=list)
    model = models.CharField(max_length=200, blank=True, help_text="The embedding model, for display.")
    embedder = models.UUIDField(null=True, editable=False, help_text="The hash of the embedder's name.")
    questions = models.PositiveIntegerField(default=0, help_text="Tried.")
    regressed = models.PositiveIntegerField(default=0, help_text="Worse than before, at its end.")
    target_gone = models.PositiveIntegerField(default=0, help_text="Without their document, at its end.")
    fruitless = models.PositiveSmallIntegerField(default=0, help_text="Attempts in a row that got no further.")
    job = models.BigIntegerField(null=True, editable=False, help_text="The queue's number of the job that does it.")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["creator"],
                condition=models.Q(state="queued", trial=False),
                name="golden_run_queued_once_per_creator",
            ),
            models.UniqueConstraint(
                fields=["creator", "embedder"],
                condition=models.Q(state="queued", trial=True),
                name="golden_trial_queued_once_per_model",
            ),
        ]

    def __str__(self) -> str:
        return f"golden run, {self.state}"

    @property
    def is_unfinished(self) -> bool:
        """Whether a worker has it, or will."""
        return self.state in (self.State.QUEUED, self.State.RUNNING)


class GoldenResult(BaseTenantModel):
    """What one run found for one question. Goes with its run, of which only the newest are kept."""

    golden_question = models.ForeignKey(
        GoldenQuestion, on_delete=models.DB_CASCADE, related_name="results", db_index=False
    )
    run = models.ForeignKey(GoldenRun, on_delete=models.DB_CASCADE, related_name="results")
    rank = models.PositiveSmallIntegerField(null=True)
    rank_before = models.PositiveSmallIntegerField(null=True)
    regressed = models.BooleanField(default=False)
    at = models.DateTimeField()

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "golden_question", "run"], name="golden_result_once"),
        ]

    def __str__(self) -> str:
        return f"rank {self.rank}"
