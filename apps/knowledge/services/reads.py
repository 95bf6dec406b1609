"""What is read most: a creator's documents, one of them, and how much there is. For `answer_read`."""

from typing import Any

from django.db.models import Count, Q, Sum

from apps.knowledge.errors import DocumentNotFound
from apps.knowledge.models import UNFINISHED, Document, Status
from apps.knowledge.schemas import DocumentOut
from apps.knowledge.services.cursors import write_cursor
from shared.tenancy.reads import Read, Rows, Standing

_COLUMNS = tuple(DocumentOut.model_fields)


def newest_documents(*, status: Any = None, tag: Any = None, q: Any = None, before: Any = None) -> Any:
    """A queryset of documents, newest first. `q` looks into titles and file names.

    Ids are in order of creation, so a page stays where it was when documents come and go before it.
    """
    rows = Document.objects.order_by("-id")
    if status is not None:
        rows = rows.filter(status=status)
    if tag is not None:
        rows = rows.filter(tags__contains=[tag])
    if q is not None:
        rows = rows.filter(Q(title__icontains=q) | Q(filename__icontains=q))
    if before is not None:
        rows = rows.filter(id__lt=before)
    return rows


def _one_document(*, document_id: Any) -> Any:
    return Document.objects.filter(id=document_id)


def _counts() -> Any:
    counted = Document.objects.order_by().values("status")
    return counted.annotate(documents=Count("*"), passages=Sum("chunk_count"), size=Sum("bytes"))


DOCUMENTS = Read(newest_documents, _COLUMNS)
DOCUMENT = Read(_one_document, _COLUMNS)
USAGE = Read(_counts, ("status", "documents", "passages", "size"))


def page_of_documents(standing: Standing, rows: Rows, *, limit: int, **filters: Any) -> dict[str, Any]:
    """The rows of `DOCUMENTS` as a page, and where the next one begins; None on the last."""
    items = [dict(zip(_COLUMNS, row, strict=True)) for row in rows[:limit]]
    return {"items": items, "next_cursor": write_cursor(items[-1]["id"]) if len(rows) > limit else None}


def the_document(standing: Standing, rows: Rows, **values: Any) -> dict[str, Any]:
    """The row of `DOCUMENT`. Raises `DocumentNotFound`: a foreign one, a deleted one and one that never was."""
    if not rows:
        raise DocumentNotFound
    return dict(zip(_COLUMNS, rows[0], strict=True))


def usage(standing: Standing, rows: Rows) -> dict[str, int | None]:
    """What a creator has in the hub. `quota_bytes` is None: nothing limits it yet."""
    documents = {status: count for status, count, _, _ in rows}
    return {
        "documents": sum(documents.values()),
        "ready": documents.get(Status.READY, 0),
        "processing": sum(documents.get(status, 0) for status in UNFINISHED),
        "failed": documents.get(Status.FAILED, 0),
        "passages": sum(passages for _, _, passages, _ in rows),
        "bytes": int(sum(size for _, _, _, size in rows)),
        "quota_bytes": None,
    }
