"""What a creator makes of the passages that were read: other words, or none at all."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pgvector import HalfVector

from apps.knowledge.errors import PassageNotFound
from apps.knowledge.models import Chunk, Correction, Document, GoldenRun, Version
from apps.knowledge.search.coverage import chosen_model
from apps.knowledge.search.index import index_words
from apps.knowledge.search.vectors import Meaning, forget_meanings, hide_meaning, store_meanings
from apps.knowledge.services import golden
from apps.knowledge.services.access import find_document, lock_document
from apps.knowledge.services.versions import announce_document
from shared.tenancy.actor import Actor, Role


@dataclass(frozen=True, slots=True)
class PassagePage:
    """Some passages in reading order, and the position after which the next ones begin; None on the last page."""

    items: list[Chunk]
    next_position: int | None


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage, what it said in the file, and what it takes to embed it anew: `model` None is the primary."""

    chunk: Chunk
    title: str
    original: str
    model: UUID | None


@dataclass(frozen=True, slots=True)
class NewText:
    """What a passage shall say, and all that follows from it."""

    text: str
    tokens: int
    vector: HalfVector
    model: UUID
    made_of: UUID


def list_passages(actor: Actor, *, document_id: UUID, after: int | None = None, limit: int = 50) -> PassagePage:
    """The passages of the version that answers, the hidden ones too. Raises `DocumentNotFound`."""
    document = find_document(document_id)
    rows = _of_live_version(document).defer("lexemes").order_by("position")
    if after is not None:
        rows = rows.filter(position__gt=after)
    items = list(rows[: limit + 1])
    more = len(items) > limit
    items = items[:limit]
    return PassagePage(items, items[-1].position if more else None)


def get_passage(actor: Actor, *, document_id: UUID, chunk_id: UUID) -> Passage:
    """A passage of the version that answers. Raises `DocumentNotFound`, `PassageNotFound`."""
    document = find_document(document_id)
    chunk = _of_live_version(document).defer("lexemes").filter(id=chunk_id).first()
    if chunk is None:
        raise PassageNotFound
    correction = _correction_of(chunk)
    original = chunk.text if correction is None else correction.original
    return Passage(chunk, document.title, original, chosen_model())


def correct_passage(
    actor: Actor,
    *,
    document_id: UUID,
    chunk_id: UUID,
    new: NewText | None = None,
    hidden: bool | None = None,
) -> Chunk:
    """Change what a passage says, whether searches find it, or both; None leaves it as it is.

    The original text takes the correction back. It holds for every version of the document
    in which this passage stands, those to come included. Raises `DocumentNotFound`, `PassageNotFound`.
    """
    actor.require(Role.EDITOR)
    document = lock_document(document_id)
    chunk = _of_live_version(document).filter(id=chunk_id).first()
    if chunk is None or chunk.source is None:
        raise PassageNotFound
    correction = _correction_of(chunk) or Correction(
        document=document, source=chunk.source, occurrence=chunk.occurrence, original=chunk.text
    )
    if new is not None:
        correction.text = None if new.text == correction.original else new.text
    correction.hidden = correction.hidden if hidden is None else hidden
    if correction.text is None and not correction.hidden:
        Correction.objects.filter(id=correction.id).delete()
    else:
        correction.save()
    _apply(document, correction, new)
    golden.note_change(actor, document, GoldenRun.Reason.PASSAGE_CHANGED)
    announce_document(document)
    return Chunk.objects.defer("lexemes").get(id=chunk_id)


def _apply(document: Document, correction: Correction, new: NewText | None) -> None:
    """In every version that has the passage. What was made of the old text is forgotten, by whichever model."""
    same = Chunk.objects.filter(document=document, source=correction.source, occurrence=correction.occurrence)
    same.update(hidden=correction.hidden)
    if new is not None:
        same.update(text=new.text, edited=correction.text is not None, tokens=new.tokens)
    rows = list(same.values_list("version_id", "position"))
    for version_id, position in rows:
        if new is not None:
            forget_meanings(version_id=version_id, position=position)
            meaning = Meaning(position, new.vector, new.made_of)
            store_meanings(version_id=version_id, model=new.model, meanings=[meaning])
        hide_meaning(version_id=version_id, position=position, hidden=correction.hidden)
    for version in Version.objects.filter(id__in=[version_id for version_id, _ in rows]):
        changed = [position for version_id, position in rows if version_id == version.id]
        index_words(version_id=version.id, language=version.language, title=document.title, positions=changed)


def _of_live_version(document: Document) -> Any:
    return Chunk.objects.filter(document=document, version__number=document.live_version)


def _correction_of(chunk: Chunk) -> Correction | None:
    found: Correction | None = Correction.objects.filter(
        document_id=chunk.document_id, source=chunk.source, occurrence=chunk.occurrence
    ).first()
    return found
