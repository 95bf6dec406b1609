"""What was searched for, and which of the passages found were opened. Nothing here says by whom."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.knowledge.models.documents import Document
from shared.tenancy.models import BaseTenantModel


class Search(BaseTenantModel):
    """Something that was searched for, and what was found. Kept for SEARCHES_KEPT_DAYS."""

    counts_revision = False

    query = models.CharField(max_length=500, help_text="As it was asked.")
    normal_form = models.CharField(max_length=500, help_text="The same for queries that differ in case and spaces.")
    hits = ArrayField(models.UUIDField(), help_text="The passages that were shown, best first: ids of that time.")
    good = models.BooleanField(help_text="Whether what was found answers it.")
    took_ms = models.PositiveIntegerField()
    asked_at = models.DateTimeField()

    # Its clicks, by the service that lists searches.
    opened: "list[Click]"

    class Meta(BaseTenantModel.Meta):
        indexes = [
            models.Index(fields=["creator", "asked_at"], name="search_asked_at"),
            models.Index(fields=["creator", "id"], name="search_not_good", condition=models.Q(good=False)),
        ]

    def __str__(self) -> str:
        return self.query

    @property
    def results(self) -> int:
        """How many passages were shown."""
        return len(self.hits)


class Click(BaseTenantModel):
    """A passage that was opened from what a search had found. The same one counts once for a search."""

    counts_revision = False

    search = models.ForeignKey(Search, on_delete=models.DB_CASCADE, related_name="clicks", db_index=False)
    document = models.ForeignKey(Document, on_delete=models.DB_CASCADE, related_name="clicks")
    chunk_id = models.UUIDField(help_text="No key: a document that is processed again has its passages under new ids.")
    position = models.PositiveSmallIntegerField(
        null=True, help_text="Its place among what was shown, from 1. Null: it was not among that."
    )
    clicked_at = models.DateTimeField(auto_now_add=True)

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "search", "chunk_id"], name="click_once_per_search"),
        ]

    def __str__(self) -> str:
        return f"click on {self.chunk_id}"
