"""Which version of a document answers: it changes in one transaction, and the one before stays whole for a while."""

from uuid import UUID

from django.utils import timezone

from apps.knowledge.errors import VersionNotFound, VersionNotRestorable
from apps.knowledge.models import Document, GoldenRun, Status, Version
from apps.knowledge.search.index import drop_passages, index_words, let_answer
from apps.knowledge.services import golden
from apps.knowledge.services.access import lock_document
from apps.knowledge.services.ledger import Work, locked
from apps.knowledge.services.versions import announce_document, begin_version, give_up
from shared.tenancy.actor import Actor, Role

# Versions that keep their passages: the one that answers, and those that it can be rolled back to at once. A search
# that began before a switch goes on reading the version that it began with.
KEPT_VERSIONS = 3


def go_live(actor: Actor, *, work: Work) -> None:
    """Let this version answer from now on."""
    document = locked(work)
    version = Version.objects.get(id=work.version_id)
    version.status, version.claim, version.finished_at = Status.READY, None, timezone.now()
    version.keeps_passages = True
    version.save(update_fields=["status", "claim", "finished_at", "keeps_passages"])
    document.status, document.stage = Status.READY, ""
    document.set_failure(None)
    if document.title != work.title:  # changed while the version was being made
        index_words(version_id=version.id, language=version.language, title=document.title)
    _switch(document, version)
    golden.note_change(actor, document, GoldenRun.Reason.DOCUMENT_READY)


def restore_version(actor: Actor, *, document_id: UUID, number: int) -> Document:
    """Let an earlier version answer again. What is being processed meanwhile is given up for it.

    At once where its passages are kept; otherwise a new version of its content is made, and `accepted` on the result
    says so. Raises `DocumentNotFound`, `VersionNotFound` (404), and `VersionNotRestorable` (409) for one that never
    was ready.
    """
    actor.require(Role.EDITOR)
    document = lock_document(document_id)
    version = Version.objects.filter(document=document, number=number).first()
    if version is None:
        raise VersionNotFound
    if version.status != Status.READY:
        raise VersionNotRestorable
    if not version.keeps_passages:
        begin_version(actor, document, version, origin=Version.Origin.RESTORE, filename=version.filename)
        document.accepted = True
        return document
    if give_up(document) is not None:
        document.status = Status.CANCELLED
    _switch(document, version)
    golden.note_change(actor, document, GoldenRun.Reason.DOCUMENT_RESTORED)
    return document


def _switch(document: Document, version: Version) -> None:
    before, document.live_version = document.live_version, version.number
    document.page_count, document.chunk_count = version.page_count, version.chunk_count
    document.save()
    let_answer(version)
    _drop_old_passages(document, before)
    announce_document(document)


def _drop_old_passages(document: Document, before: int | None) -> None:
    """Only the answering version, the one that answered before it and the newest of the others keep their passages."""
    kept = Version.objects.filter(document=document, keeps_passages=True)
    others = kept.exclude(number__in=[document.live_version, before or document.live_version])
    old = [version.id for version in others.order_by("-number")[KEPT_VERSIONS - 2 :]]
    if old:
        Version.objects.filter(id__in=old).update(keeps_passages=False)
        drop_passages(old)
