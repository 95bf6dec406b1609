"""Golden questions: what searches should find for them, and whether they still do."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from pydantic import TypeAdapter, ValidationError

from apps.knowledge.embedding.known import KnownModel, known_models
from apps.knowledge.errors import DocumentNotFound, PassageNotFound
from apps.knowledge.golden_presentation import present_history, present_question, present_questions, why_words
from apps.knowledge.golden_schemas import LONGEST_QUESTION, QuestionText
from apps.knowledge.models import Document, GoldenQuestion
from apps.knowledge.models_presentation import ModelView, present_models
from apps.knowledge.pages.frame import Refusal, load, raise_unless_shown, refuse_script, render_page
from apps.knowledge.services.golden_questions import (
    Expected,
    Pinned,
    change_question,
    choosable_documents,
    delete_question,
    get_question,
    list_questions,
    pin_question,
    run_now,
)
from apps.knowledge.services.golden_trials import last_comparison
from apps.knowledge.services.search_models import list_models
from shared.exceptions import HubError, NotFound, ValidationFailed
from shared.tenancy.actor import Actor, Role
from shared.tenancy.pages import creator_page
from shared.tenancy.run import run_as

# Documents that a list to choose from holds; any other is pinned where a search has found it.
_DOCUMENTS = 200
_QUESTION: TypeAdapter[str] = TypeAdapter(QuestionText)


@never_cache
@require_http_methods(["GET", "POST"])
@creator_page
async def questions(request: HttpRequest) -> HttpResponse:
    """All golden questions; a POST pins another, from the form here or beside what a search has found."""
    if request.method == "POST":
        return await _pin(request)
    return await show_all(request)


async def _pin(request: HttpRequest) -> HttpResponse:
    from_search = request.htmx  # type: ignore[attr-defined]
    typed = {"asked": request.POST.get("question", ""), "chosen": request.POST.get("document", "")}
    try:
        await run_as(request.actor, pin_question, question=_question(request), expected=_expected(request))
    except HubError as error:
        if from_search:
            return refuse_script(error)
        raise_unless_shown(error)
        return await show_all(request, Refusal("", error.detail), error.status, **typed)
    if from_search:
        return render(request, "knowledge/golden.html#pinned")
    return redirect("knowledge:golden_questions")


@never_cache
@require_http_methods(["GET", "POST"])
@creator_page
async def question(request: HttpRequest, question_id: UUID) -> HttpResponse:
    """One golden question with its history; a POST changes what is asked or expected."""
    if request.method == "POST":
        return await _act(request, question_id, lambda: _save(request, question_id))
    return await _show_one(request, question_id)


async def _save(request: HttpRequest, question_id: UUID) -> None:
    # The passage stays the expected one, unless somebody says otherwise.
    stays = not request.POST.get("whole") and request.POST.get("document") == request.POST.get("was")
    wanted = {"question": _question(request), "expected": None if stays else _expected(request)}
    await run_as(request.actor, change_question, question_id=question_id, **wanted)


@never_cache
@require_POST
@creator_page
async def accept(request: HttpRequest, question_id: UUID) -> HttpResponse:
    """Take the rank of now for good."""
    return await _act(request, question_id, lambda: run_as(request.actor, change_question, question_id=question_id))


@require_POST
@creator_page
async def delete(request: HttpRequest, question_id: UUID) -> HttpResponse:
    """Delete a golden question, and go back to the others."""
    await run_as(request.actor, delete_question, question_id=question_id)
    return redirect("knowledge:golden_questions")


@never_cache
@require_POST
@creator_page
async def run(request: HttpRequest) -> HttpResponse:
    """Have all of them tried now."""
    try:
        await run_as(request.actor, run_now)
    except HubError as error:
        raise_unless_shown(error)
        return await show_all(request, Refusal("", error.detail), error.status)
    return redirect("knowledge:golden_questions")


async def _act(request: HttpRequest, question_id: UUID, act: Callable[[], Awaitable[Any]]) -> HttpResponse:
    """Do something with a question and go back to its page, which says why where it was refused."""
    try:
        await act()
    except HubError as error:
        raise_unless_shown(error)
        return await _show_one(request, question_id, Refusal("", error.detail), error.status)
    return redirect("knowledge:golden_question", question_id)


async def show_all(
    request: HttpRequest, refusal: Refusal | None = None, status: int = 200, **typed: str
) -> HttpResponse:
    """The page of all golden questions, with what was refused."""
    frame, (pinned, documents, models) = await load(request, _all, known=known_models())
    context = {
        **frame,
        "section": "golden",
        "questions": present_questions(pinned.items),
        "summary": pinned.summary,
        "last_why": why_words(pinned.summary.last_run),
        "documents": documents,
        "models": models,
        "refusal": refusal,
        "longest": LONGEST_QUESTION,
        **typed,
    }
    return render_page(request, "knowledge/golden.html", "standing", context, status)


async def _show_one(
    request: HttpRequest, question_id: UUID, refusal: Refusal | None = None, status: int = 200
) -> HttpResponse:
    frame, (found, documents) = await load(request, _one, question_id=question_id)
    context = {
        **frame,
        "section": "golden",
        "question": present_question(found),
        "history": present_history(found.history),
        "documents": documents,
        "refusal": refusal,
        "typed": request.POST.get("question", found.question),
        "longest": LONGEST_QUESTION,
    }
    return render_page(request, "knowledge/golden_question.html", "standing", context, status)


def _all(actor: Actor, *, known: list[KnownModel]) -> tuple[Pinned, list[Document], list[ModelView]]:
    return list_questions(actor), _choosable(actor), _models(actor, known)


def _one(actor: Actor, *, question_id: UUID) -> tuple[GoldenQuestion, list[Document]]:
    return get_question(actor, question_id=question_id), _choosable(actor)


def _models(actor: Actor, known: list[KnownModel]) -> list[ModelView]:
    """For those who may switch, where there is anything to switch to."""
    if len(known) == 1 or not actor.role.at_least(Role.ADMIN):
        return []
    found = {model.id: last_comparison(model.id) for model in known}
    comparisons = {model: comparison for model, comparison in found.items() if comparison is not None}
    return present_models(list_models(actor, known=known), comparisons)


def _choosable(actor: Actor) -> list[Document]:
    return choosable_documents(actor, limit=_DOCUMENTS) if actor.role.at_least(Role.EDITOR) else []


def _question(request: HttpRequest) -> str:
    try:
        return _QUESTION.validate_python(request.POST.get("question", "").strip())
    except ValidationError:
        raise ValidationFailed(f"A question is one line of at most {LONGEST_QUESTION} characters.") from None


def _expected(request: HttpRequest) -> Expected:
    if not request.POST.get("document"):
        raise ValidationFailed("Choose the document that answers it.")
    document_id = _id(request.POST["document"], DocumentNotFound)
    passage = request.POST.get("passage")
    return Expected(document_id, _id(passage, PassageNotFound) if passage else None)


def _id(text: str, missing: type[NotFound]) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise missing from None
