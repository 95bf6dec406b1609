"""The list of documents, with the imports that fill it."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.knowledge import media_types
from apps.knowledge.models import Document
from apps.knowledge.pages.frame import Refusal, load, render_page
from apps.knowledge.presentation import REFRESH_CHOICES, STATUS_LABELS
from apps.knowledge.services.documents import DocumentPage, get_document, list_documents
from apps.knowledge.services.imports import Report, get_import, recent_imports
from shared.security.fetching.urls import LONGEST_URL
from shared.tenancy.actor import Actor
from shared.tenancy.pages import creator_page
from shared.tenancy.run import run_as
from shared.text import clean_line

ROWS = 30
NIL = UUID(int=0)


async def show_documents(
    request: HttpRequest, refusals: list[Refusal] | None = None, status: int = 200, **typed: Any
) -> HttpResponse:
    """The documents, newest first. `typed` goes back into the form that was refused."""
    wanted = {name: clean_line(request.GET.get(name, ""))[:200] for name in ("q", "status", "cursor")}
    if wanted["status"] not in Document.Status.values:
        wanted["status"] = ""
    asked_for = {name: value or None for name, value in wanted.items()}
    frame, (page, imports) = await load(request, _documents_and_imports, limit=ROWS, **asked_for)
    older = {**wanted, "cursor": page.next_cursor}
    context = {
        **frame,
        **wanted,
        "documents": page.items,
        "imports": imports,
        "next_cursor": page.next_cursor,
        "more_query": urlencode({name: value for name, value in older.items() if value}),
        "statuses": STATUS_LABELS.items(),
        "refusals": refusals or [],
        "accept": f"{media_types.ACCEPT},.zip",
        "max_upload_bytes": settings.MAX_UPLOAD_BYTES,
        "max_upload_megabytes": settings.MAX_UPLOAD_BYTES // (1024 * 1024),
        "longest_url": LONGEST_URL,
        "refresh_choices": REFRESH_CHOICES,
        "nil_id": NIL,
        **typed,
    }
    return render_page(request, "knowledge/documents.html", "rows", context, status)


def _documents_and_imports(actor: Actor, **wanted: Any) -> tuple[DocumentPage, list[Report]]:
    return list_documents(actor, **wanted), recent_imports(actor)


@never_cache
@require_GET
@creator_page
async def row(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """One document's row, for a page that heard that it changed."""
    found = await run_as(request.actor, get_document, document_id=document_id)
    return render(request, "knowledge/documents.html#row", {"document": found})


@never_cache
@require_GET
@creator_page
async def import_row(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """One import's row, for a page that heard that it changed."""
    found = await run_as(request.actor, get_import, import_id=import_id)
    return render(request, "knowledge/documents.html#import_row", {"import": found})
