"""The door for pages: somebody is signed in, and the scope stays open until the page is rendered."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url

from shared.tenancy.scope import creator_scope

type Page[**P] = Callable[Concatenate[HttpRequest, P], Coroutine[Any, Any, HttpResponse]]


def creator_page[**P](view: Page[P]) -> Page[P]:
    """Send whoever is not signed in to the sign-in page, and back afterwards; run the view in the actor's scope."""

    @wraps(view)
    async def signed_in(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        actor: Any = getattr(request, "actor", None)
        if actor is None:
            return _to_sign_in(request)
        with creator_scope(actor.creator_id):
            return await view(request, *args, **kwargs)

    return signed_in


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    # Only a page that was asked for by GET can be returned to.
    back = request.get_full_path() if request.method == "GET" else "/"
    url = f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}"
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": resolve_url(settings.LOGIN_URL)})
    return HttpResponseRedirect(url)
