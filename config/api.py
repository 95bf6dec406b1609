"""The REST API, version 1: every operation is protected unless it says otherwise, every error is problem+json."""

from typing import Any

import orjson
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.renderers import BaseRenderer

from apps.accounts.api import router as accounts
from apps.hub.api import router as hub
from apps.knowledge.api import router as knowledge
from apps.knowledge.asked_api import router as asked
from apps.knowledge.golden_api import router as golden
from apps.knowledge.models_api import router as models
from shared.api import get_current_user
from shared.http import answer_error


class OrjsonRenderer(BaseRenderer):
    """JSON, eight times as fast as the standard library's."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return orjson.dumps(data, option=orjson.OPT_UTC_Z)  # as Pydantic writes times


api = NinjaAPI(
    title="Creator Hub",
    version="1",
    description="Bring documents, search them. Every call but sign-in takes `Authorization: Bearer <access token>`.",
    urls_namespace="api",
    auth=get_current_user,
    renderer=OrjsonRenderer(),
)
api.add_router("/auth", accounts)
api.add_router("", knowledge)
api.add_router("", golden)
api.add_router("", asked)
api.add_router("", models)
api.add_router("", hub)


def _answer(request: HttpRequest, error: Exception) -> HttpResponse:
    return answer_error(request, error)


for _error in (Exception, HttpError, ValidationError, AuthenticationError, Http404):
    api.add_exception_handler(_error, _answer)
