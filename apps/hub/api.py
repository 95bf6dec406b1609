"""Profile, usage and events over REST."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Header, Query, Router

from apps.hub.schemas import EVENTS_ANSWER, EventNumber, ProfileChange, ProfileOut, UsageOut
from apps.hub.services import profile as profiles
from apps.knowledge.services.reads import USAGE, usage
from shared.api import ReadAnswer, answer_read, rendered
from shared.tenancy.run import run_as
from shared.tenancy.streams import stream_events

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


@router.get("/events", openapi_extra={"responses": {200: EVENTS_ANSWER}})
async def get_events(
    request: HttpRequest,
    after: EventNumber | None = Query(None, description="The number of the last event that the client has."),
    last_event_id: EventNumber | None = Header(None, alias="Last-Event-ID", description="The same; this one counts."),
) -> StreamingHttpResponse:
    """What happens to the creator's things, as Server-Sent Events, for as long as the client listens.

    First what has happened after the number that the client names; without one, what happens from now on. An event of
    type `reload` stands for events that are not kept any more: load everything anew, and go on from its number.
    """
    return await stream_events(request.actor, after if last_event_id is None else last_event_id)
