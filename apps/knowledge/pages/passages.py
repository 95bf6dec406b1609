"""The passages of the version that answers: read, put right, hidden from searches."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from pydantic import ValidationError

from apps.knowledge import operations
from apps.knowledge.models import Chunk, Document, Version
from apps.knowledge.pages.frame import Refusal, load, raise_unless_shown, refuse_script, render_page
from apps.knowledge.presentation import present_passage
from apps.knowledge.schemas import LONGEST_PASSAGE, PassageChange
from apps.knowledge.services.corrections import PassagePage, list_passages
from apps.knowledge.services.documents import answering_version, get_document
from shared.exceptions import HubError, ValidationFailed
from shared.tenancy.actor import Actor
from shared.tenancy.pages import creator_page
from shared.tenancy.run import run_as

PASSAGES = 30
_HIGHEST_POSITION = 2**31 - 1


@never_cache
@require_GET
@creator_page
async def passages(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """Some passages in reading order, the hidden ones too."""
    return await _show(request, document_id, _after(request.GET.get("after", "")))


@never_cache
@require_POST
@creator_page
async def change(request: HttpRequest, document_id: UUID, passage_id: UUID) -> HttpResponse:
    """Do one thing with a passage: save its text, bring the original back, hide it, show it."""
    after = _after(request.POST.get("after", ""))
    typed = request.POST.get("text", "").replace("\r\n", "\n")
    try:
        wanted = _wanted(request.POST.get("do", ""), typed)
        chunk = await operations.correct_passage(request.actor, document_id, passage_id, **wanted)
    except HubError as error:
        if request.htmx:  # type: ignore[attr-defined]
            return refuse_script(error)
        raise_unless_shown(error)
        return await _show(request, document_id, after, error=error, changed=passage_id, typed=typed)
    if request.htmx:  # type: ignore[attr-defined]
        return await _show_one(request, document_id, chunk, after)
    return redirect(_place(document_id, passage_id, after))


def _wanted(do: str, typed: str) -> dict[str, Any]:
    match do:
        case "hide" | "show":
            return {"text": None, "hidden": do == "hide"}
        case "original":
            return {"text": None, "restore": True}
        case _:
            return {"text": _read_text(typed)}


def _read_text(typed: str) -> str | None:
    try:
        return PassageChange(text=typed).text
    except ValidationError:
        sentence = f"A passage has between 1 and {LONGEST_PASSAGE} characters that can be seen."
        raise ValidationFailed(sentence) from None


def _place(document_id: UUID, passage_id: UUID, after: int | None) -> str:
    page = reverse("knowledge:passages", args=[document_id])
    query = "" if after is None else f"?{urlencode({'after': after})}"
    return f"{page}{query}#passage-{passage_id}"


async def _show(
    request: HttpRequest,
    document_id: UUID,
    after: int | None,
    *,
    error: HubError | None = None,
    changed: UUID | None = None,
    typed: str = "",
) -> HttpResponse:
    wanted = {"document_id": document_id, "after": after, "limit": PASSAGES}
    frame, (document, version, page) = await load(request, _with_passages, **wanted)
    media_type = version.media_type if version else ""
    context = {
        **frame,
        "document": document,
        "passages": [present_passage(media_type, chunk, typed if chunk.id == changed else "") for chunk in page.items],
        "after": after,
        "next_position": page.next_position,
        "longest": LONGEST_PASSAGE,
        "refusal": Refusal("", error.detail) if error else None,
    }
    return render_page(request, "knowledge/passages.html", "list", context, error.status if error else 200)


async def _show_one(request: HttpRequest, document_id: UUID, chunk: Chunk, after: int | None) -> HttpResponse:
    version = await run_as(request.actor, answering_version, document_id=document_id)
    context = {
        "passage": present_passage(version.media_type if version else "", chunk),
        "document": {"id": document_id},
        "after": after,
        "longest": LONGEST_PASSAGE,
        "can_edit": True,
    }
    return render(request, "knowledge/passages.html#passage", context)


def _with_passages(actor: Actor, **wanted: Any) -> tuple[Document, Version | None, PassagePage]:
    document_id = wanted["document_id"]
    document = get_document(actor, document_id=document_id)
    return document, answering_version(actor, document_id=document_id), list_passages(actor, **wanted)


def _after(text: str) -> int | None:
    """The position that an address names; None for none, and for nonsense."""
    known = text.isascii() and text.isdecimal() and len(text) < 11 and int(text) <= _HIGHEST_POSITION
    return int(text) if known else None
