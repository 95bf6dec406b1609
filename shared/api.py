"""What every API operation uses: who asks, and an answer that is safe to repeat."""

from django.http import HttpRequest

from shared.exceptions import NotAuthenticated
from shared.idempotency.answers import answer_once
from shared.reading import Out, ReadAnswer, answer_read, rendered
from shared.security.tokens import Claims

__all__ = ["Out", "ReadAnswer", "answer_once", "answer_read", "get_current_user", "rendered"]


class BearerToken:
    """Who asks for a protected operation. Raises `NotAuthenticated` (401) when nobody is signed in.

    What it hands out are the claims of a token that is ours and has not expired. Whether its sign-in has ended is
    asked in the transaction, or the message, that does the operation's work: `run_as`, `read_as`, `confirm_actor`.

    The API's default, so that a new operation is protected unless it says `auth=None` and is listed as public. A
    class for the sake of its name and its scheme, which the OpenAPI document shows.
    """

    openapi_security_schema = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}

    async def __call__(self, request: HttpRequest) -> Claims:
        claims: Claims | None = getattr(request, "actor", None)
        if claims is None:
            raise NotAuthenticated(headers={"WWW-Authenticate": "Bearer"})
        return claims


get_current_user = BearerToken()
