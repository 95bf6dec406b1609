"""The embedding models, on the page of golden questions: what they would find, and which one answers."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from apps.knowledge.embedding.known import known_models
from apps.knowledge.pages.frame import Refusal, raise_unless_shown
from apps.knowledge.pages.golden import show_all
from apps.knowledge.services.golden_trials import start_trial
from apps.knowledge.services.search_models import choose_model
from shared.exceptions import HubError
from shared.tenancy.pages import creator_page
from shared.tenancy.run import run_as


@never_cache
@require_POST
@creator_page
async def choose(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Let this model answer."""
    return await _act(request, lambda: run_as(request.actor, choose_model, model=model_id, known=known_models()))


@never_cache
@require_POST
@creator_page
async def try_questions(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Have the golden questions tried with this model."""
    return await _act(request, lambda: run_as(request.actor, start_trial, model=model_id, known=known_models()))


async def _act(request: HttpRequest, act: Callable[[], Awaitable[Any]]) -> HttpResponse:
    try:
        await act()
    except HubError as error:
        raise_unless_shown(error)
        return await show_all(request, Refusal("", error.detail), error.status)
    return redirect("knowledge:golden_questions")
