"""Acme with a row in every tenant table, each full of words that nobody else would ever write."""

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from uuid import UUID, uuid4

from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from pgvector import HalfVector

from apps.accounts.models import AuditEntry
from apps.hub.models import Profile
from apps.knowledge.embedding import current_embedder
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.models import (
    Cell,
    Chunk,
    Click,
    Correction,
    Document,
    GoldenQuestion,
    GoldenResult,
    GoldenRun,
    Import,
    Search,
    SkippedEntry,
    Source,
    Stage,
    Version,
)
from apps.knowledge.search.index import index_words, let_answer
from apps.knowledge.search.vectors import Meaning, meanings_missing, store_meanings
from apps.knowledge.services.passages import source_of
from shared.idempotency.models import CreatorAnswer
from shared.tenancy.events import News, store_events
from shared.tenancy.ids import uuid7
from shared.tenancy.names import storage_path
from shared.tenancy.scope import creator_scope

# Made-up words: in none of the hub's own texts, in no other creator's.
TITLE, FILENAME, TEXT, HEADING, TAG = "Quorvexa", "zibbolund", "fjordwhistle", "Ombrackett", "yarnspindle"
NAME, BIO, SITE, CATEGORY, REASON = "Hextable", "plumcadence", "vostrugate", "kelpwander", "murkledove"
# No event of the hub's has words in it; this one's show where it comes from.
EVENT = "grumblefen"
# What people asked Acme: with an answer, and in vain.
QUERY, UNANSWERED = "Drelmopine", "wicktangle"
WORDS = (TITLE, FILENAME, TEXT, HEADING, TAG, NAME, BIO, SITE, CATEGORY, REASON, EVENT, QUERY, UNANSWERED)

CONTENT = f"{HEADING}\n\nThe {TEXT} is tuned twice a year. Nobody else may know how.\n".encode()


@dataclass
class World:
    """What a creator has. `things` are the ids that a call can name."""

    creator_id: UUID
    user_id: UUID
    words: tuple[str, ...]
    content: bytes
    things: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def words_in(self, text):
        """Which of this creator's words a text betrays."""
        lowered = text.lower()
        return [word for word in self.words if word.lower() in lowered]


def build_acme(actor, email=""):
    """Fill Acme. `email` is one more word that must not get out."""
    acme = World(actor.creator_id, actor.user_id, (*WORDS, *filter(None, [email])), CONTENT)
    with creator_scope(actor.creator_id), transaction.atomic():
        document, version, chunk = _document(acme, "handbook", CONTENT, Document.Status.READY)
        _document(acme, "draft", b"draft " + CONTENT, Document.Status.QUEUED)
        _document(acme, "broken", b"broken " + CONTENT, Document.Status.FAILED)
        profile = Profile.objects.create(
            display_name=NAME,
            bio=f"{BIO} since 1999",
            website_url=f"https://{SITE}.example",
            coaching_categories=[CATEGORY],
        )
        entry = AuditEntry.objects.create(user_id=actor.user_id, action="view", reason=REASON, detail=TITLE)
        store_events([News("document.changed", document.id, timezone.now(), f'{{"status":"{EVENT}"}}')])
        answer = CreatorAnswer.objects.create(
            key_hash=b"k" * 32,
            fingerprint=b"f" * 32,
            status=201,
            sealed_body=TITLE.encode(),
            expires_at=timezone.now() + timedelta(days=1),
        )
        Source.objects.create(document=document, url=f"https://{SITE}.example/handbook.txt", etag=TEXT)
        archive = Import.objects.create(filename=f"{FILENAME}.zip", state="done", tags=[TAG])
        skipped = SkippedEntry.objects.create(archive=archive, position=0, name=HEADING, code="entry_taken")
        original = source_of(f"{TEXT} as it was read")
        correction = Correction.objects.create(document=document, source=original, original=TEXT, text=HEADING)
        golden, result = _golden_question(document, chunk, f"How often is the {TEXT} tuned?")
        _searches(acme, document, chunk)
    acme.things |= {"golden": golden, "goldenresult": result}
    acme.things |= {"correction": str(correction.id)}
    acme.things |= {"import": str(archive.id), "skippedentry": str(skipped.id)}
    acme.things |= {"version": str(version.id), "chunk": str(chunk.id), "profile": str(profile.id)}
    acme.things |= {"auditentry": str(entry.id), "creatoranswer": str(answer.id), "document": str(document.id)}
    acme.things |= {"user": str(actor.user_id), "creator": str(actor.creator_id)}
    return acme


def build_umbrella(actor):
    """Give the other creator something of their own, so that their answers are not empty for want of rows."""
    content = b"Umbrellas\n\nAn umbrella is opened before the rain.\n"
    umbrella = World(actor.creator_id, actor.user_id, ("umbrella",), content)
    with creator_scope(actor.creator_id), transaction.atomic():
        words = ("Umbrella", "rain.txt", "Umbrellas", "wet")
        *_, chunk = _document(umbrella, "handbook", content, Document.Status.READY, words)
        _document(umbrella, "draft", b"draft " + content, Document.Status.QUEUED, words)
        _document(umbrella, "broken", b"broken " + content, Document.Status.FAILED, words)
        umbrella.things["chunk"] = str(chunk.id)
        umbrella.things["golden"], _ = _golden_question(chunk.document, chunk, "When is an umbrella opened?")
        _searches(umbrella, chunk.document, chunk, ("When do I open it?", "Are there parasols?"))
        umbrella.things["import"] = str(Import.objects.create(filename="umbrellas.zip", state="done").id)
    return umbrella


def put_files_back(world):
    """Write a creator's files again, after a call that was undone in the database took them away."""
    with creator_scope(world.creator_id):
        for path in Version.objects.values_list("storage_path", flat=True):
            if not default_storage.exists(path):
                default_storage.save(path, ContentFile(world.files[path]))


def _document(world, name, content, status, words=(TITLE, f"{FILENAME}.txt", HEADING, TAG)):
    title, filename, heading, tag = words
    ready = status == Document.Status.READY
    document = Document(
        title=f"{title} {name}",
        filename=filename,
        media_type="text/plain",
        bytes=len(content),
        tags=[tag],
        status=status,
        live_version=1 if ready else None,
        page_count=1 if ready else None,
        chunk_count=1 if ready else 0,
        failure_code="empty" if status == Document.Status.FAILED else "",
    )
    document.save()
    path = storage_path("documents", document.id)
    default_storage.save(path, ContentFile(content))
    world.files[path] = content
    version = Version.objects.create(
        document=document,
        number=1,
        filename=filename,
        media_type="text/plain",
        bytes=len(content),
        content_sha256=hashlib.sha256(content).hexdigest(),
        storage_path=path,
        language="en",
        keeps_passages=ready,
        status=status,
        chunk_count=document.chunk_count,
    )
    for position, stage in enumerate(Stage.Name, start=1):
        Stage.objects.create(
            version=version, position=position, name=stage, state="done" if ready else "pending", total=1
        )
    world.things[name] = str(document.id)
    chunk = _chunk(document, version, content.decode(), heading) if ready else None
    return document, version, chunk


def _searches(world, document, chunk, queries=(f"How is the {QUERY} tuned?", f"What is a {UNANSWERED}?")):
    """One search that found a passage, which somebody opened, and one that found nothing."""
    for query, hits in zip(queries, ([uuid7(), chunk.id], []), strict=True):
        search = Search.objects.create(
            query=query, normal_form=query.casefold(), hits=hits, good=bool(hits), took_ms=7, asked_at=timezone.now()
        )
        if hits:
            # Of an earlier passage, so that a click on this one is not yet there.
            Click.objects.create(search=search, document=document, chunk_id=hits[0], position=1)
            world.things["search"] = str(search.id)


def _chunk(document, version, text, heading):
    chunk = Chunk.objects.create(
        document=document,
        version=version,
        position=1,
        text=text,
        source=source_of(text),
        page=1,
        heading=heading,
        tokens=len(text.split()),
    )
    make_findable(document, version, text)
    return chunk


def make_findable(document, version, meaning):
    """Index what passages a version has; those that have no vector yet get that of `meaning`."""
    model = embedder_hash(current_embedder().name)
    waiting = meanings_missing(version_id=version.id, model=model, limit=None)
    vector = HalfVector(_vector(meaning))
    meanings = [Meaning(one.position, vector, uuid4()) for one in waiting]
    store_meanings(version_id=version.id, model=model, meanings=meanings)
    index_words(version_id=version.id, language="en", title=document.title)
    let_answer(version)
    # As if there were so many vectors that they lie in cells.
    Cell.objects.get_or_create(model=model, number=1, defaults={"size": 1, "centre": vector})


def _golden_question(document, chunk, question):
    """One that was tried once and found; returns its id and its result's."""
    now = timezone.now()
    golden = GoldenQuestion.objects.create(
        question=question,
        document=document,
        document_title=document.title,
        source=chunk.source,
        passage=chunk.text,
        rank=1,
        ranked_at=now,
    )
    run = GoldenRun.objects.create(state="done", reasons=["asked_for"], model="minimodel 8199be", finished_at=now)
    result = GoldenResult.objects.create(golden_question=golden, run=run, rank=1, at=now)
    model = embedder_hash(current_embedder().name)
    trial = GoldenRun.objects.create(state="done", reasons=["model_filled"], trial=True, embedder=model)
    GoldenResult.objects.create(golden_question=golden, run=trial, rank=2, rank_before=1, at=now)
    return str(golden.id), str(result.id)


@cache
def _vector(text):
    return async_to_sync(current_embedder().embed)([text])[0]
