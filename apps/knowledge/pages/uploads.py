"""What brings documents: files, archives of files, addresses."""

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.knowledge import operations
from apps.knowledge.errors import FileMissing
from apps.knowledge.models import Document
from apps.knowledge.pages.frame import Refusal, raise_unless_shown, refuse_script
from apps.knowledge.pages.listing import show_documents
from apps.knowledge.presentation import REFRESH_CHOICES
from apps.knowledge.services.imports import Report
from apps.knowledge.services.sources import import_url
from shared.exceptions import HubError
from shared.security.fetching import FetchFailed, read_url
from shared.security.rate_limiter import limiter
from shared.tenancy.actor import Actor, Role
from shared.tenancy.pages import creator_page
from shared.tenancy.run import run_as
from shared.text import clean_line

_REFRESH_HOURS = {str(hours): hours for hours, _ in REFRESH_CHOICES if hours}


@never_cache
@require_http_methods(["GET", "POST"])
@creator_page
async def documents(request: HttpRequest) -> HttpResponse:
    """The documents, newest first; a POST brings new ones."""
    if request.method == "POST":
        return await _upload(request)
    return await show_documents(request)


@never_cache
@require_POST
@creator_page
async def from_address(request: HttpRequest) -> HttpResponse:
    """Put an address down as a document, which a worker fetches, and go back to the others."""
    url = request.POST.get("url", "").strip()
    hours = _REFRESH_HOURS.get(request.POST.get("refresh_hours", ""))
    try:
        request.actor.require(Role.EDITOR)
        wanted = {"place": read_url(url), "title": "", "tags": [], "refresh_hours": hours}
        await run_as(request.actor, import_url, **wanted)
    except HubError as error:
        raise_unless_shown(error)
        action = error.action if isinstance(error, FetchFailed) else ""
        refusal = Refusal(clean_line(url) or "Nothing", error.detail, action)
        return await show_documents(request, [refusal], error.status, url=url, refresh_hours=hours)
    return redirect("knowledge:documents")


async def _upload(request: HttpRequest) -> HttpResponse:
    """Take the files of the form: row by row for the script, which sends one at a time; all of them without it."""
    files: list[UploadedFile | None] = [*request.FILES.getlist("file")] or [None]
    if request.htmx:  # type: ignore[attr-defined]
        return await _upload_one(request, files[0])
    refusals: list[Refusal] = []
    status = 200
    for file in files:
        try:
            await _take(request.actor, file)
        except HubError as error:
            if error.status >= 500:
                raise
            status = error.status
            detail = "Choose a file first." if isinstance(error, FileMissing) else error.detail
            refusals.append(Refusal((file.name if file else "") or "Nothing", detail))
    if refusals:
        return await show_documents(request, refusals, status)
    return redirect("knowledge:documents")


async def _upload_one(request: HttpRequest, file: UploadedFile | None) -> HttpResponse:
    try:
        taken = await _take(request.actor, file)
    except HubError as error:
        return refuse_script(error)
    if isinstance(taken, Report):
        return render(request, "knowledge/documents.html#import_row", {"import": taken}, status=201)
    return render(request, "knowledge/documents.html#row", {"document": taken}, status=201)


async def _take(actor: Actor, file: UploadedFile | None) -> Document | Report:
    """Make a document of a file, or of each file in it when it is an archive.

    Each upload counts for its user and creator, as over the API; the request itself was counted for its address.
    """
    await limiter.check_upload(str(actor.user_id), str(actor.creator_id))
    if file is not None and await operations.is_archive(file):
        return await operations.upload_archive(actor, file)
    return await operations.upload_document(actor, file)
