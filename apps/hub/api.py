"""Profile and usage over REST."""

from django.http import HttpRequest
from ninja import Router

from apps.hub.models import Profile
from apps.hub.schemas import ProfileChange, ProfileOut, UsageOut
from apps.hub.services import profile as profiles
from apps.knowledge.services.documents import Usage, measure_usage
from shared.tenancy.run import run_as

router = Router(tags=["hub"])


@router.get("/profile", response=ProfileOut)
async def get_profile(request: HttpRequest) -> Profile:
    """The creator's profile."""
    return await run_as(request.actor, profiles.get_profile)


@router.patch("/profile", response=ProfileOut)
async def update_profile(request: HttpRequest, change: ProfileChange) -> Profile:
    """Change parts of the profile."""
    return await run_as(request.actor, profiles.update_profile, changes=change.model_dump(exclude_unset=True))


@router.get("/usage", response=UsageOut)
async def get_usage(request: HttpRequest) -> Usage:
    """What the creator has in the hub."""
    return await run_as(request.actor, measure_usage)
