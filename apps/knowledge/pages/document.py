"""One document: what happened to it, its versions, and what can be done with them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.knowledge import media_types, operations
from apps.knowledge.errors import FileMissing, SourceNotFound, VersionNotFound
from apps.knowledge.models import Document, Source, Stage, Version
from apps.knowledge.pages.frame import Refusal, load, raise_unless_shown, render_page
from apps.knowledge.presentation import STATUS_LABELS, present_stages, present_versions, refresh_label
from apps.knowledge.services.documents import (
    cancel_processing,
    get_document,
    list_stages,
    list_versions,
    reprocess,
)
from apps.knowledge.services.sources import get_source
from apps.knowledge.services.switching import restore_version
from shared.exceptions import HubError
from shared.security.rate_limiter import limiter
from shared.tenancy.actor import Actor
from shared.tenancy.pages import creator_page
from shared.tenancy.run import run_as

# What is shown at once of the versions; the others unfold.
_FIRST_VERSIONS = 5
_HIGHEST_VERSION = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Whole:
    document: Document
    stages: list[Stage]
    versions: list[Version]
    source: Source | None


@never_cache
@require_GET
@creator_page
async def document(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """What became of a document, step by step, and version by version."""
    return await _show(request, document_id)


@never_cache
@require_GET
@creator_page
async def content(request: HttpRequest, document_id: UUID) -> HttpResponseBase:
    """The file as it was brought, to save and never to show: the newest version's, or that of `version`."""
    return await operations.document_content(request.actor, document_id, _version_asked_for(request))


@require_POST
@creator_page
async def delete(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """Delete a document, and go back to the others."""
    await operations.remove_document(request.actor, document_id)
    return redirect("knowledge:documents")


@never_cache
@require_POST
@creator_page
async def process_again(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """Process the stored file again."""
    return await _act(request, document_id, lambda: run_as(request.actor, reprocess, document_id=document_id))


@never_cache
@require_POST
@creator_page
async def cancel(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """Stop the work on a document."""
    return await _act(request, document_id, lambda: run_as(request.actor, cancel_processing, document_id=document_id))


@never_cache
@require_POST
@creator_page
async def new_version(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """Give the document the content of another file."""

    async def take() -> None:
        actor: Actor = request.actor
        await limiter.check_upload(str(actor.user_id), str(actor.creator_id))
        await operations.upload_version(actor, document_id, request.FILES.get("file"))

    return await _act(request, document_id, take)


@never_cache
@require_POST
@creator_page
async def restore(request: HttpRequest, document_id: UUID, number: int) -> HttpResponse:
    """Let an earlier version answer again."""
    if number > _HIGHEST_VERSION:
        raise VersionNotFound
    wanted = {"document_id": document_id, "number": number}
    return await _act(request, document_id, lambda: run_as(request.actor, restore_version, **wanted))


async def _act(request: HttpRequest, document_id: UUID, act: Callable[[], Awaitable[Any]]) -> HttpResponse:
    """Do something with a document and go back to its page, which says why where it was refused."""
    try:
        await act()
    except HubError as error:
        raise_unless_shown(error)
        detail = "Choose a file first." if isinstance(error, FileMissing) else error.detail
        return await _show(request, document_id, Refusal("", detail), error.status)
    return redirect("knowledge:document", document_id)


async def _show(
    request: HttpRequest, document_id: UUID, refusal: Refusal | None = None, status: int = 200
) -> HttpResponse:
    frame, whole = await load(request, _whole, document_id=document_id)
    versions = present_versions(whole.document, whole.versions)
    stages = present_stages(whole.document, whole.stages)
    context = {
        **frame,
        "document": whole.document,
        "stages": stages,
        "is_explained": any(stage.failure for stage in stages),
        "versions": versions[:_FIRST_VERSIONS],
        "older_versions": versions[_FIRST_VERSIONS:],
        "source": whole.source,
        "refresh_label": refresh_label(whole.source),
        "status_label": STATUS_LABELS[whole.document.status],
        "refusal": refusal,
        "accept": media_types.ACCEPT,
        "max_upload_megabytes": settings.MAX_UPLOAD_BYTES // (1024 * 1024),
    }
    return render_page(request, "knowledge/document.html", "fresh", context, status)


def _whole(actor: Actor, *, document_id: UUID) -> _Whole:
    found = get_document(actor, document_id=document_id)
    stages = list_stages(actor, document_id=document_id)
    return _Whole(found, stages, list_versions(actor, document_id=document_id), _source(actor, document_id))


def _source(actor: Actor, document_id: UUID) -> Source | None:
    try:
        return get_source(actor, document_id=document_id)
    except SourceNotFound:
        return None


def _version_asked_for(request: HttpRequest) -> int | None:
    text = request.GET.get("version", "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 11 and 0 < int(text) <= _HIGHEST_VERSION):
        raise VersionNotFound
    return int(text)
