"""Documents and search over REST."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import ValidationError

from apps.knowledge import operations, searching
from apps.knowledge.models import Document, Source, Stage, Version
from apps.knowledge.schemas import (
    ArchiveForm,
    ContentQuery,
    DocumentChange,
    DocumentFilter,
    DocumentOut,
    DocumentsOut,
    ImportOut,
    PassageChange,
    PassageFilter,
    PassageOut,
    PassagesOut,
    SearchOut,
    SearchQuery,
    SourceChange,
    SourceOut,
    StageOut,
    SuggestionsOut,
    SuggestQuery,
    UploadForm,
    UrlImport,
    VersionOut,
    search_answer,
)
from apps.knowledge.search_log import remember
from apps.knowledge.services import corrections, documents, imports, reads, sources, switching
from apps.knowledge.services.cursors import read_cursor
from apps.knowledge.services.imports import Report
from shared.api import ReadAnswer, answer_once, answer_read, rendered
from shared.exceptions import ValidationFailed
from shared.security.fetching import read_url
from shared.tenancy.run import run_as

router = Router(tags=["knowledge"])

# For operations that read no body, whatever a client sends with them.
_NO_BODY = b""


# Spelled out, because the file is read from the request itself: it was parsed on a thread, before this.
def _multipart(**properties: Any) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    schema = {"type": "object", "required": ["file"], "properties": {"file": file, **properties}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


_TAGS = {"type": "array", "items": {"type": "string", "maxLength": 50}}
_UPLOAD_BODY = _multipart(title={"type": "string", "maxLength": 200}, tags=_TAGS)


@router.post("/documents", response={200: DocumentOut, 202: DocumentOut}, openapi_extra=_UPLOAD_BODY)
async def upload_document(request: HttpRequest) -> HttpResponse:
    """Upload a PDF, Word, text, Markdown or HTML file; 202, and its processing is queued.

    The same content again answers 200 with the document that has it, or starts that one again (202) if it had
    failed or was cancelled.
    """
    form = _upload_form(request)
    file = request.FILES.get("file")
    async with operations.stored_upload(request.actor, file, title=form.title, tags=form.tags) as upload:
        return await answer_once(
            request, _upload_status, DocumentOut, upload.create, fingerprint=upload.fingerprint, **upload.arguments
        )


def _upload_status(document: Document) -> int:
    return 202 if document.accepted else 200


def _upload_form(request: HttpRequest) -> UploadForm:
    return _read_form(UploadForm, title=request.POST.get("title", ""), tags=_sent_tags(request))


def _sent_tags(request: HttpRequest) -> list[str]:
    tags = [tag.strip() for field in request.POST.getlist("tags") for tag in field.split(",")]
    return [tag for tag in tags if tag]


def _read_form[F: Schema](form: type[F], **fields: Any) -> F:
    try:
        return form(**fields)
    except ValidationError as error:
        problems = [
            {"field": str(problem["loc"][0]), "message": problem["msg"], "code": problem["type"]}
            for problem in error.errors()
        ]
        raise ValidationFailed(errors=problems) from error


@router.post("/documents/import", response={200: DocumentOut, 202: DocumentOut})
async def import_url(request: HttpRequest, wanted: UrlImport) -> HttpResponse:
    """Make a document of what is at an address: 202, and a worker fetches it, from the public internet only.

    The same address again answers 200 with the document that has it, or starts that one again (202) if it had failed
    or was cancelled.
    """
    return await answer_once(
        request,
        _upload_status,
        DocumentOut,
        sources.import_url,
        place=read_url(wanted.url.strip()),
        title=wanted.title or "",
        tags=wanted.tags,
        refresh_hours=wanted.refresh_hours,
    )


@router.post("/documents/archive", response={202: ImportOut}, openapi_extra=_multipart(tags=_TAGS))
async def upload_archive(request: HttpRequest) -> HttpResponse:
    """Upload a zip file: 202, and each file in it becomes a document as if it had been uploaded by itself."""
    form = _read_form(ArchiveForm, tags=_sent_tags(request))
    file = request.FILES.get("file")
    async with operations.stored_archive(request.actor, file, tags=form.tags) as upload:
        return await answer_once(
            request, 202, ImportOut, upload.create, fingerprint=upload.fingerprint, **upload.arguments
        )


@router.get("/imports/{uuid:import_id}", response=ImportOut)
async def get_import(request: HttpRequest, import_id: UUID) -> Report:
    """How far an archive is unpacked, and which of its files became no documents."""
    return await run_as(request.actor, imports.get_import, import_id=import_id)


@router.get("/documents/{uuid:document_id}/source", response=SourceOut)
async def get_source(request: HttpRequest, document_id: UUID) -> Source:
    """The address that a document is fetched from, and when it is looked at."""
    return await run_as(request.actor, sources.get_source, document_id=document_id)


@router.patch("/documents/{uuid:document_id}/source", response=SourceOut)
async def change_source(request: HttpRequest, document_id: UUID, change: SourceChange) -> Source:
    """Say how often the address is looked at; what has changed there becomes a new version of the document."""
    return await run_as(
        request.actor, sources.change_source, document_id=document_id, refresh_hours=change.refresh_hours
    )


_DOCUMENTS = ReadAnswer(DocumentsOut, reads.page_of_documents, reads.DOCUMENTS)
_DOCUMENT = ReadAnswer(DocumentOut, reads.the_document, reads.DOCUMENT)


@router.get("/documents", response=DocumentsOut)
async def list_documents(request: HttpRequest, wanted: Query[DocumentFilter]) -> HttpResponse:
    """The creator's documents, newest first."""
    before = read_cursor(wanted.cursor)
    filters = {"status": wanted.status or None, "tag": wanted.tag or None, "q": wanted.q or None}
    return await answer_read(request, _DOCUMENTS, **filters, before=before, limit=wanted.limit)


@router.get("/documents/{uuid:document_id}", response=DocumentOut)
async def get_document(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """One document."""
    return await answer_read(request, _DOCUMENT, document_id=document_id)


@router.patch("/documents/{uuid:document_id}", response=DocumentOut)
async def update_document(request: HttpRequest, document_id: UUID, change: DocumentChange) -> HttpResponse:
    """Change the title or the tags."""
    changed = await run_as(
        request.actor, documents.update_document, document_id=document_id, title=change.title, tags=change.tags
    )
    return rendered(DocumentOut, changed)


@router.delete("/documents/{uuid:document_id}", response={204: None})
async def delete_document(request: HttpRequest, document_id: UUID) -> Status:
    """Delete a document with its passages and its file. It is found by no search from this moment on."""
    await operations.remove_document(request.actor, document_id)
    return Status(204, None)


@router.get("/documents/{uuid:document_id}/content", response={200: bytes})
async def get_content(request: HttpRequest, document_id: UUID, wanted: Query[ContentQuery]) -> StreamingHttpResponse:
    """The file as it was brought, as an attachment: the newest version's, or another's."""
    return await operations.document_content(request.actor, document_id, wanted.version)


@router.get("/documents/{uuid:document_id}/stages", response=list[StageOut])
async def list_stages(request: HttpRequest, document_id: UUID) -> list[Stage]:
    """How far each step of the newest version is."""
    return await run_as(request.actor, documents.list_stages, document_id=document_id)


@router.get("/documents/{uuid:document_id}/versions", response=list[VersionOut])
async def list_versions(request: HttpRequest, document_id: UUID) -> list[Version]:
    """Every processing of the document, newest first."""
    return await run_as(request.actor, documents.list_versions, document_id=document_id)


@router.post(
    "/documents/{uuid:document_id}/versions",
    response={200: DocumentOut, 202: DocumentOut},
    openapi_extra=_multipart(),
)
async def upload_version(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """Give the document new content. The version that answers now keeps answering until the new one is ready.

    The content that its newest version has already answers 200 and changes nothing; a document that has failed or was
    cancelled is started again (202). Content that another document has is refused with 409 `content_elsewhere`.
    """
    file = request.FILES.get("file")
    async with operations.stored_version(request.actor, document_id, file) as upload:
        return await answer_once(
            request, _upload_status, DocumentOut, upload.create, fingerprint=upload.fingerprint, **upload.arguments
        )


@router.post(
    "/documents/{uuid:document_id}/versions/{int:number}/restore", response={200: DocumentOut, 202: DocumentOut}
)
async def restore_version(request: HttpRequest, document_id: UUID, number: int) -> HttpResponse:
    """Let an earlier version answer again: at once (200) while its passages are kept, else once it is made anew (202).

    What is being processed meanwhile is cancelled.
    """
    return await answer_once(
        request,
        _upload_status,
        DocumentOut,
        switching.restore_version,
        fingerprint=_NO_BODY,
        document_id=document_id,
        number=number,
    )


@router.get("/documents/{uuid:document_id}/passages", response=PassagesOut)
async def list_passages(request: HttpRequest, document_id: UUID, wanted: Query[PassageFilter]) -> HttpResponse:
    """The passages of the version that answers, in reading order, the hidden ones too."""
    page = await run_as(
        request.actor, corrections.list_passages, document_id=document_id, after=wanted.after, limit=wanted.limit
    )
    return rendered(PassagesOut, page)


@router.patch("/documents/{uuid:document_id}/passages/{uuid:passage_id}", response=PassageOut)
async def correct_passage(
    request: HttpRequest, document_id: UUID, passage_id: UUID, change: PassageChange
) -> HttpResponse:
    """Change what a passage says, or hide it from searches. Survives processing while the file has that passage."""
    restore = "text" in change.model_fields_set and change.text is None
    changed = await operations.correct_passage(
        request.actor, document_id, passage_id, text=change.text, restore=restore, hidden=change.hidden
    )
    return rendered(PassageOut, changed)


@router.post("/documents/{uuid:document_id}/reprocess", response={202: DocumentOut})
async def reprocess_document(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """Process the stored file again. The version that answers now keeps answering until the new one is ready."""
    return await answer_once(
        request, 202, DocumentOut, documents.reprocess, fingerprint=_NO_BODY, document_id=document_id
    )


@router.post("/documents/{uuid:document_id}/cancel", response=DocumentOut)
async def cancel_processing(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """Stop the work on a document. Cancelling what has finished changes nothing."""
    return await answer_once(
        request, 200, DocumentOut, documents.cancel_processing, fingerprint=_NO_BODY, document_id=document_id
    )


@router.get("/search", response=SearchOut)
async def search(request: HttpRequest, wanted: Query[SearchQuery]) -> dict[str, Any]:
    """Find passages by their words and their meaning, each with its page or heading.

    Words in "quotes" must stand there as they are, and a passage with a -word is left out. A word that no passage has
    is taken for the one that it begins, or for the nearest one by letters: see `corrected`.
    """
    answer = await searching.search_passages(
        request.actor,
        wanted.q,
        limit=wanted.limit,
        where=searching.Narrowed(wanted.tag, wanted.document_id, wanted.language, wanted.since, wanted.until),
        by_document=wanted.group == "document",
        around=wanted.neighbours,
        explain=wanted.explain,
    )
    return search_answer(remember(request.actor, answer))


@router.get("/search/suggest", response=SuggestionsOut)
async def suggest(request: HttpRequest, wanted: Query[SuggestQuery]) -> dict[str, Any]:
    """The question so far with its last word completed, by the words of the creator's passages. For every keystroke."""
    return {"suggestions": await searching.suggest(request.actor, wanted.q)}
