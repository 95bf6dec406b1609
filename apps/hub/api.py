"""Profile and usage over REST."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from apps.hub.schemas import ProfileChange, ProfileOut, UsageOut
from apps.hub.services import profile as profiles
from apps.knowledge.services.reads import USAGE, usage
from shared.api import ReadAnswer, answer_read, rendered
from shared.tenancy.run import run_as

router = Router(tags=["hub"])

_PROFILE = ReadAnswer(ProfileOut, profiles.the_profile, profiles.PROFILE)
# Counted over all documents, so the counts are kept until one of them changes.
_USAGE = ReadAnswer(UsageOut, usage, USAGE, kept=True)


@router.get("/profile", response=ProfileOut)
async def get_profile(request: HttpRequest) -> HttpResponse:
    """The creator's profile."""
    return await answer_read(request, _PROFILE)


@router.patch("/profile", response=ProfileOut)
async def update_profile(request: HttpRequest, change: ProfileChange) -> HttpResponse:
    """Change parts of the profile."""
    changes = change.model_dump(exclude_unset=True)
    return rendered(ProfileOut, await run_as(request.actor, profiles.update_profile, changes=changes))


@router.get("/usage", response=UsageOut)
async def get_usage(request: HttpRequest) -> HttpResponse:
    """What the creator has in the hub."""
    return await answer_read(request, _USAGE)
