"""Embedding models over REST: how far each is, what it would find, and which one answers."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router

from apps.knowledge.embedding.known import known_models
from apps.knowledge.models_schemas import ComparisonOut, SearchModelIn, SearchModelsOut, TrialOut
from apps.knowledge.services import golden_trials, search_models
from shared.api import answer_once, rendered
from shared.tenancy.run import run_as

router = Router(tags=["search"])

# For an operation that reads no body, whatever a client sends with it.
_NO_BODY = b""


@router.get("/search/models", response=SearchModelsOut)
async def list_search_models(request: HttpRequest) -> HttpResponse:
    """The embedding models that the hub is configured with: which one answers, and how far the others are."""
    states = await run_as(request.actor, search_models.list_models, known=known_models())
    return rendered(SearchModelsOut, {"items": states})


@router.put("/search/model", response=SearchModelsOut)
async def choose_search_model(request: HttpRequest, wanted: SearchModelIn) -> HttpResponse:
    """Let this model answer from now on, for owner and admins. Going back is the same call with the other model.

    Each search is wholly of one model. The golden questions are tried again. While passages lack its vectors: 409
    `model_not_ready`.
    """
    states = await run_as(request.actor, search_models.choose_model, model=wanted.model, known=known_models())
    return rendered(SearchModelsOut, {"items": states})


@router.post("/search/models/{uuid:model_id}/trial", response={202: TrialOut})
async def try_search_model(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Have every golden question tried with this model, beside the one that answers: 202 with the trial that waits.

    It changes no rank and warns nobody. The hub makes one by itself when a model has come to see all passages.
    """
    about = {"model": model_id, "known": known_models()}
    return await answer_once(request, 202, TrialOut, golden_trials.start_trial, fingerprint=_NO_BODY, **about)


@router.get("/search/models/{uuid:model_id}/trial", response=ComparisonOut)
async def get_search_model_trial(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """What the golden questions would find with this model, question by question. 404 before the first trial."""
    found = await run_as(request.actor, golden_trials.get_comparison, model=model_id, known=known_models())
    return rendered(ComparisonOut, found)
