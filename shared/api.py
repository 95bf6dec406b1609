"""What every API operation uses: who asks, and an answer that is safe to repeat."""

from django.http import HttpRequest

from shared.exceptions import NotAuthenticated
from shared.idempotency.answers import answer_once
from shared.tenancy.actor import Actor

__all__ = ["answer_once", "get_current_user"]


async def get_current_user(request: HttpRequest) -> Actor:
    """The actor behind a protected operation. Raises `NotAuthenticated` (401) when nobody is signed in.

    The API's default, so that a new operation is protected unless it says `auth=None` and is listed as public.
    """
    actor: Actor | None = getattr(request, "actor", None)
    if actor is None:
        raise NotAuthenticated(headers={"WWW-Authenticate": "Bearer"})
    return actor
