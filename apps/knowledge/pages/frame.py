"""What all pages of a creator share: the frame around them, and what is said when something is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from apps.accounts.services import Me, who_am_i
from shared.exceptions import HubError
from shared.tenancy.actor import Actor, Role
from shared.tenancy.events import newest_seq_in_transaction
from shared.tenancy.run import run_as


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was not done, and why. `action` is what to do instead, "" where the reason says it."""

    what: str
    detail: str
    action: str = ""


async def load[R](request: HttpRequest, service: Callable[..., R], /, **arguments: Any) -> tuple[dict[str, Any], R]:
    """The frame of a page and what it shows, in one visit of the database."""

    def everything(actor: Actor) -> tuple[Me, int, R]:
        # The number before the rows: they show at least what events up to it tell of.
        return who_am_i(actor), newest_seq_in_transaction(), service(actor, **arguments)

    actor: Actor = request.actor
    me, event_seq, result = await run_as(actor, everything)
    frame = {
        "actor": actor,
        "creator_name": me.creator.display_name,
        "user_email": me.user.email,
        "event_seq": event_seq,
        "section": "documents",
        "can_edit": actor.role.at_least(Role.EDITOR),
    }
    return frame, result


def render_page(
    request: HttpRequest, template: str, part: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """The whole page, or its part for htmx. A browser that goes back asks htmx for the whole."""
    htmx = request.htmx  # type: ignore[attr-defined]
    if htmx and not htmx.history_restore_request:
        template = f"{template}#{part}"
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def refuse_script(error: HubError) -> JsonResponse:
    """The refusal as the script reads it: the sentence to show, with its status."""
    headers = {name: value for name, value in error.headers.items() if name == "Retry-After"}
    return JsonResponse({"detail": error.detail, "code": error.code}, status=error.status, headers=headers)


def raise_unless_shown(error: HubError) -> None:
    """Raise what no page can show beside its content: that there is nothing here, or that the hub itself failed."""
    if error.status == 404 or error.status >= 500:
        raise error
