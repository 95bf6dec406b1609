"""Which model answers for a creator, and which passages have vectors of which model."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Q

from apps.knowledge.models import Cell, SearchIndex, Vector
from shared.tenancy.scope import require_creator

# A version has as many vectors of a model as it has passages, or it lacks some.
_HAS = """
(SELECT count(*) FROM knowledge_vector x
  WHERE x.creator_id = %(creator)s AND x.version_id = v.id AND x.model = %(model)s)
"""
_COVERED = f"""
SELECT coalesce(sum(least(v.chunk_count, {_HAS})), 0)::bigint, coalesce(sum(v.chunk_count), 0)::bigint
  FROM knowledge_version v WHERE v.creator_id = %(creator)s AND v.live
"""
# Those that answer, and those that can be restored at once. Ids grow with time.
_LACKING = f"""
SELECT v.id, v.document_id
  FROM knowledge_version v
 WHERE v.creator_id = %(creator)s AND (v.live OR v.keeps_passages) AND v.id >= %(after)s AND v.chunk_count > {_HAS}
 ORDER BY v.id LIMIT %(limit)s
"""
_PASSAGES = f"""
SELECT v.document_id, v.id, c.position, d.title, c.heading, c.text
  FROM ({_LACKING}) v
  JOIN knowledge_document d ON d.creator_id = %(creator)s AND d.id = v.document_id
  JOIN knowledge_chunk c ON c.creator_id = %(creator)s AND c.version_id = v.id
 WHERE NOT EXISTS (SELECT 1 FROM knowledge_vector x
                    WHERE x.creator_id = %(creator)s AND x.version_id = v.id AND x.model = %(model)s
                      AND x.position = c.position)
 ORDER BY v.id, c.position LIMIT %(limit)s
"""
_NONE = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of the passages that answer have a vector of a model, and how many there are."""

    done: int
    passages: int

    @property
    def is_whole(self) -> bool:
        """Whether a search with this model misses nothing."""
        return self.done >= self.passages


@dataclass(frozen=True, slots=True)
class Lacking:
    """A passage without a vector, and what one is made of."""

    document_id: UUID
    version_id: UUID
    position: int
    title: str
    heading: str
    text: str


def chosen_model() -> UUID | None:
    """The model that answers for the creator. None: the primary."""
    found: UUID | None = SearchIndex.objects.values_list("model", flat=True).first()
    return found


def answering_model(models: Sequence[UUID]) -> UUID:
    """The same among those that are configured, the primary first: one that is configured no more answers nothing."""
    chosen = chosen_model()
    return chosen if chosen in models else models[0]


def coverage(model: UUID) -> Coverage:
    """How far a model has come with what answers now, the hidden passages included."""
    with connection.cursor() as cursor:
        cursor.execute(_COVERED, {"creator": require_creator(), "model": model})
        return Coverage(*cursor.fetchone())


def lacks_vectors(model: UUID) -> bool:
    """Whether any passage has none of this model, of a version that answers or can be restored at once."""
    with connection.cursor() as cursor:
        cursor.execute(_LACKING, {"creator": require_creator(), "model": model, "after": _NONE, "limit": 1})
        return cursor.fetchone() is not None


def passages_lacking(model: UUID, *, after: UUID | None, limit: int) -> list[Lacking]:
    """The first passages without a vector of this model, those of the oldest versions first, from `after` on."""
    with connection.cursor() as cursor:
        values = {"creator": require_creator(), "model": model, "after": after or _NONE, "limit": limit}
        cursor.execute(_PASSAGES, values)
        return [Lacking(*row) for row in cursor.fetchall()]


def drop_models_except(models: Sequence[UUID], *, at_most: int) -> int:
    """Delete some of the vectors of all other models, and their cells; returns how many vectors these were.

    With the last of them the creator's choice of such a model is forgotten: should it come back, it begins anew.
    """
    old = Vector.objects.exclude(model__in=models).values_list("id", flat=True)[:at_most]
    gone, _ = Vector.objects.filter(id__in=list(old)).delete()
    if gone < at_most:
        Cell.objects.exclude(model__in=models).delete()
        SearchIndex.objects.filter(~Q(model__in=models), model__isnull=False).update(model=None)
        SearchIndex.objects.filter(~Q(cell_model__in=models), cell_model__isnull=False).update(cell_model=None)
    return gone
