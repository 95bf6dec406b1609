"""The pages of a creator: documents, one document, search. Each whole, or the part that htmx and the script ask for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.services import Me, who_am_i
from apps.knowledge import operations
from apps.knowledge.errors import DocumentNotFound, FileMissing
from apps.knowledge.models import Document, Stage
from apps.knowledge.presentation import STATUS_LABELS, present_hit, present_stages
from apps.knowledge.services.documents import get_document, list_documents, list_stages
from shared.exceptions import HubError
from shared.security.rate_limiter import limiter
from shared.tenancy.actor import Actor, Role
from shared.tenancy.events import newest_seq_in_transaction
from shared.tenancy.pages import creator_page
from shared.tenancy.run import run_as
from shared.text import clean_line

ROWS = 30
RESULTS = 20
LONGEST_QUERY = 400
NIL = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that was not taken, and why."""

    filename: str
    detail: str


@never_cache
@require_http_methods(["GET", "POST"])
@creator_page
async def documents(request: HttpRequest) -> HttpResponse:
    """The documents, newest first; a POST brings new ones."""
    if request.method == "POST":
        return await _upload(request)
    return await _show_documents(request)


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
async def document(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """What became of a document, step by step."""
    frame, (found, stages) = await _load(request, _with_stages, document_id=document_id)
    context = {
        **frame,
        "document": found,
        "stages": present_stages(found, stages),
        "status_label": STATUS_LABELS[found.status],
    }
    return _render(request, "knowledge/document.html", "fresh", context)


@never_cache
@require_GET
@creator_page
async def content(request: HttpRequest, document_id: UUID) -> HttpResponseBase:
    """The file as it was uploaded, to save and never to show."""
    return await operations.document_content(request.actor, document_id)


@require_POST
@creator_page
async def delete(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """Delete a document, and go back to the others."""
    await operations.remove_document(request.actor, document_id)
    return redirect("knowledge:documents")


@never_cache
@require_GET
@creator_page
async def search(request: HttpRequest) -> HttpResponse:
    """Ask, and see the passages that answer."""
    query = clean_line(request.GET.get("q", ""))[:LONGEST_QUERY]
    only = _document_asked_for(request)
    frame, only_document = await _load(request, _document_or_none, document_id=only)
    context: dict[str, Any] = {**frame, "section": "search", "query": query, "document_id": only}
    if only_document is not None:
        context["document_title"] = only_document.title
    status = 200
    if query:
        try:
            answer = await operations.search_passages(request.actor, query, limit=RESULTS, document_id=only)
        except HubError as error:
            # The page stays usable, with the question still in its box.
            context["refusal"], status = error.detail, error.status
        else:
            context["results"] = [present_hit(query, hit) for hit in answer.results]
            context["took_ms"] = answer.took_ms
    return _render(request, "knowledge/search.html", "results", context, status)


async def _show_documents(
    request: HttpRequest, refusals: list[Refusal] | None = None, status: int = 200
) -> HttpResponse:
    wanted = {name: clean_line(request.GET.get(name, ""))[:200] for name in ("q", "status", "cursor")}
    if wanted["status"] not in Document.Status.values:
        wanted["status"] = ""
    asked_for = {name: value or None for name, value in wanted.items()}
    frame, page = await _load(request, list_documents, limit=ROWS, **asked_for)
    older = {**wanted, "cursor": page.next_cursor}
    context = {
        **frame,
        **wanted,
        "documents": page.items,
        "next_cursor": page.next_cursor,
        "more_query": urlencode({name: value for name, value in older.items() if value}),
        "statuses": STATUS_LABELS.items(),
        "refusals": refusals or [],
        "max_upload_bytes": settings.MAX_UPLOAD_BYTES,
        "max_upload_megabytes": settings.MAX_UPLOAD_BYTES // (1024 * 1024),
        "nil_id": NIL,
    }
    return _render(request, "knowledge/documents.html", "rows", context, status)


async def _upload(request: HttpRequest) -> HttpResponse:
    """Take the files of the form: row by row for the script, which sends one at a time; all of them without it."""
    files: list[UploadedFile | None] = [*request.FILES.getlist("file")] or [None]
    if request.htmx:  # type: ignore[attr-defined]
        return await _upload_one(request, files[0])
    refusals: list[Refusal] = []
    status = 200
    for file in files:
        try:
            await _count_upload(request.actor)
            await operations.upload_document(request.actor, file)
        except HubError as error:
            if error.status >= 500:
                raise
            status = error.status
            detail = "Choose a file first." if isinstance(error, FileMissing) else error.detail
            refusals.append(Refusal((file.name if file else "") or "Nothing", detail))
    if refusals:
        return await _show_documents(request, refusals, status)
    return redirect("knowledge:documents")


async def _upload_one(request: HttpRequest, file: UploadedFile | None) -> HttpResponse:
    try:
        await _count_upload(request.actor)
        taken = await operations.upload_document(request.actor, file)
    except HubError as error:
        headers = {name: value for name, value in error.headers.items() if name == "Retry-After"}
        return JsonResponse({"detail": error.detail, "code": error.code}, status=error.status, headers=headers)
    return render(request, "knowledge/documents.html#row", {"document": taken}, status=201)


async def _count_upload(actor: Actor) -> None:
    """Each file counts for its user and creator, as over the API; the request itself was counted for its address."""
    await limiter.check_upload(str(actor.user_id), str(actor.creator_id))


async def _load[R](request: HttpRequest, service: Callable[..., R], /, **arguments: Any) -> tuple[dict[str, Any], R]:
    """The frame of a page and what it shows, in one visit of the database."""

    def everything(actor: Actor) -> tuple[Me, int, R]:
        # The number before the rows: they show at least what events up to it tell of.
        return who_am_i(actor), newest_seq_in_transaction(), service(actor, **arguments)

    actor: Actor = request.actor
    me, event_seq, result = await run_as(actor, everything)
    may_edit = actor.role.at_least(Role.EDITOR)
    frame = {
        "actor": actor,
        "creator_name": me.creator.display_name,
        "user_email": me.user.email,
        "event_seq": event_seq,
        "section": "documents",
        "can_upload": may_edit,
        "can_delete": may_edit,
    }
    return frame, result


def _with_stages(actor: Actor, *, document_id: UUID) -> tuple[Document, list[Stage]]:
    return get_document(actor, document_id=document_id), list_stages(actor, document_id=document_id)


def _document_or_none(actor: Actor, *, document_id: UUID | None) -> Document | None:
    return get_document(actor, document_id=document_id) if document_id else None


def _document_asked_for(request: HttpRequest) -> UUID | None:
    text = request.GET.get("document", "")
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise DocumentNotFound from None


def _render(request: HttpRequest, template: str, part: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """The whole page, or its part for htmx. A browser that goes back asks htmx for the whole."""
    htmx = request.htmx  # type: ignore[attr-defined]
    if htmx and not htmx.history_restore_request:
        template = f"{template}#{part}"
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response
