"""Search: ask, and see the passages that answer."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.knowledge.errors import DocumentNotFound
from apps.knowledge.models import Document
from apps.knowledge.pages.frame import load, render_page
from apps.knowledge.presentation import present_hit
from apps.knowledge.search_log import remember
from apps.knowledge.searching import Narrowed, search_passages
from apps.knowledge.searching import suggest as suggest_questions
from apps.knowledge.services.documents import get_document
from shared.exceptions import HubError
from shared.tenancy.actor import Actor
from shared.tenancy.pages import creator_page
from shared.text import clean_line

RESULTS = 20
LONGEST_QUERY = 400


@never_cache
@require_GET
@creator_page
async def search(request: HttpRequest) -> HttpResponse:
    """Ask, and see the passages that answer."""
    query = clean_line(request.GET.get("q", ""))[:LONGEST_QUERY]
    only = _document_asked_for(request)
    frame, only_document = await load(request, _document_or_none, document_id=only)
    context: dict[str, Any] = {**frame, "section": "search", "query": query, "document_id": only}
    if only_document is not None:
        context["document_title"] = only_document.title
    status = 200
    if query:
        try:
            answer = await search_passages(request.actor, query, limit=RESULTS, where=Narrowed(document_id=only))
            remember(request.actor, answer)
        except HubError as error:
            # The page stays usable, with the question still in its box.
            context["refusal"], status = error.detail, error.status
        else:
            context["results"] = [present_hit(answer.lexemes, result.hit) for result in answer.results]
            context["corrected"] = answer.corrected
            context["took_ms"] = answer.took_ms
            context["search_id"] = answer.id
    return render_page(request, "knowledge/search.html", "results", context, status)


@never_cache
@require_GET
@creator_page
async def suggest(request: HttpRequest) -> HttpResponse:
    """What somebody who types may be about to ask: options for the box."""
    typed = clean_line(request.GET.get("q", ""))[:LONGEST_QUERY]
    suggestions = await suggest_questions(request.actor, typed) if typed else []
    return render(request, "knowledge/suggestions.html", {"suggestions": suggestions})


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
