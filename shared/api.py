"""What every API operation uses: who asks, and an answer that is safe to repeat."""

from django.http import HttpRequest

from shared.exceptions import NotAuthenticated
from shared.idempotency.answers import answer_once
from shared.tenancy.actor import Actor

__all__ = ["answer_once", "get_current_user"]


class BearerToken:
    """The actor behind a protected operation. Raises `NotAuthenticated` (401) when nobody is signed in.

    The API's default, so that a new operation is protected unless it says `auth=None` and is listed as public. A
    class for the sake of its name and its scheme, which the OpenAPI document shows.
    """

    openapi_security_schema = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}

    async def __call__(self, request: HttpRequest) -> Actor:
        actor: Actor | None = getattr(request, "actor", None)
        if actor is None:
            raise NotAuthenticated(headers={"WWW-Authenticate": "Bearer"})
        return actor


get_current_user = BearerToken()
