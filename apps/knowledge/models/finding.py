"""What search reads: words, vectors, and where both lead. Made of passages, and made again whenever they change."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from pgvector.django import HalfVectorField

from apps.knowledge.models.documents import Version
from shared.tenancy.models import BaseTenantModel

# Longer words are found by no search. An entry of an index holds one, and a full row of postings.
LONGEST_WORD = 255


class SearchIndex(BaseTenantModel):
    """How a creator's index stands: one row. Whoever adds words or cells to it locks it."""

    model = models.UUIDField(null=True, help_text="The embedding model that answers. Null: the primary one.")
    last_ordinal = models.PositiveIntegerField(default=0)
    languages = ArrayField(models.CharField(max_length=8), default=list, help_text="That passages were cut in.")
    added = models.PositiveIntegerField(default=0, help_text="Versions indexed since postings were merged.")
    merged = models.PositiveIntegerField(default=0, help_text="Versions that there were when postings were merged.")
    job = models.BigIntegerField(null=True, help_text="The queue's number of the job that tidies it up.")
    filling = models.BigIntegerField(null=True, help_text="The queue's number of the job that makes missing vectors.")
    cell_model = models.UUIDField(null=True, help_text="The model whose vectors are sorted into cells. Null: none.")
    cell_rows = models.PositiveIntegerField(default=0, help_text="How many vectors there were when cells were made.")

    class Meta(BaseTenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["creator"], name="search_index_once_per_creator")]

    def __str__(self) -> str:
        return f"index up to {self.last_ordinal}"


class Posting(BaseTenantModel):
    """Some of the passages that hold a lexeme: see `search.postings` for what is packed in `data`."""

    lexeme = models.CharField(max_length=LONGEST_WORD, db_collation="C")
    data = models.BinaryField()

    class Meta(BaseTenantModel.Meta):
        # A search reads this index alone. Equality on text is leakproof, so row security leaves it usable.
        indexes = [models.Index(fields=["creator", "lexeme"], include=["data"], name="posting_lexeme")]

    def __str__(self) -> str:
        return self.lexeme


class Word(BaseTenantModel):
    """A word as somebody wrote it, in small letters: for completing half-typed words and correcting misspelt ones."""

    text = models.CharField(max_length=LONGEST_WORD, db_collation="C")

    class Meta(BaseTenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["creator", "text"], name="word_once_per_creator")]

    def __str__(self) -> str:
        return self.text


class Vector(BaseTenantModel):
    """The meaning of a passage according to one model. Vectors of several models may stand side by side.

    Apart from the passage, so that the nearest are found without reading texts. It comes and goes with the passage at
    its version's `position`.
    """

    version = models.ForeignKey(Version, on_delete=models.DB_CASCADE, related_name="vectors", db_index=False)
    position = models.PositiveIntegerField(help_text="The passage's.")
    model = models.UUIDField(help_text="A hash of the model's name.")
    made_of = models.UUIDField(help_text="A hash of the text and the model. While it stays, so does the vector.")
    # A vector is compared with those of its own model only, so each model may have dimensions of its own.
    embedding = HalfVectorField()
    cell = models.PositiveIntegerField(default=0)
    live = models.BooleanField(default=False, help_text="Its version answers.")
    hidden = models.BooleanField(default=False, help_text="The passage is.")

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "version", "model", "position"], name="vector_once_per_model"),
        ]
        indexes = [
            # What a search looks at, and no more: a version that can be restored has vectors too.
            models.Index(
                fields=["creator", "model", "cell"],
                condition=models.Q(live=True, hidden=False),
                name="vector_answering",
            ),
        ]

    def __str__(self) -> str:
        return f"vector of passage {self.position}"


class Cell(BaseTenantModel):
    """A region of one model's vectors: those nearest to its centre are its `size` members."""

    model = models.UUIDField()
    number = models.PositiveIntegerField()
    size = models.PositiveIntegerField()
    centre = HalfVectorField()

    class Meta(BaseTenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["creator", "model", "number"], name="cell_number_once_per_model"),
        ]

    def __str__(self) -> str:
        return f"cell {self.number}"
