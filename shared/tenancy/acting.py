"""Staff acting as a creator: for an hour, with a reason, in that creator's scope and no other.

There is no way for staff to look at tenant rows from outside. Beginning, ending and every change are written to
the audit log in the creator's own scope, where the creator's words may stand.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest
from django.utils import timezone

from shared.tenancy.actor import Actor, Role
from shared.tenancy.scope import creator_scope

LASTS_FOR = timedelta(hours=1)
_IN_SESSION = "acting_as"


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts as whom, why, and until when."""

    actor: Actor
    creator_name: str
    until: datetime


def may_act(request: HttpRequest) -> bool:
    """Whether somebody is staff with the permission `act_as_creator`."""
    user: Any = request.user
    app_label = settings.CREATOR_MODEL.partition(".")[0]
    return bool(user.is_active and user.is_staff and user.has_perm(f"{app_label}.act_as_creator"))


def start_acting(request: HttpRequest, creator: models.Model, reason: str) -> None:
    """Begin, for an hour. What was acted as before ends. Raises `PermissionDenied` for those who may not."""
    reason = reason.strip()
    if not may_act(request) or not reason:
        raise PermissionDenied
    stop_acting(request)
    actor = _actor(request, creator.pk, reason)
    with creator_scope(actor.creator_id), transaction.atomic():
        record(actor, "acting started")
    until = timezone.now() + LASTS_FOR
    request.session[_IN_SESSION] = {
        "creator": str(creator.pk),
        "reason": reason,
        "until": until.isoformat(),
    }


def stop_acting(request: HttpRequest) -> None:
    """End. Ending what was not begun changes nothing."""
    acting = current_acting(request)
    request.session.pop(_IN_SESSION, None)
    if acting is not None:
        with creator_scope(acting.actor.creator_id), transaction.atomic():
            record(acting.actor, "acting stopped")


def current_acting(request: HttpRequest) -> Acting | None:
    """What this member of staff acts as right now, or None. The right to it is checked each time."""
    stored = request.session.get(_IN_SESSION)
    if stored is None or not may_act(request):
        return None
    until = datetime.fromisoformat(stored["until"])
    creator = apps.get_model(settings.CREATOR_MODEL)._default_manager.filter(pk=stored["creator"]).first()
    if until <= timezone.now() or creator is None:
        del request.session[_IN_SESSION]
        return None
    return Acting(_actor(request, creator.pk, stored["reason"]), str(creator), until)


def record(actor: Actor, action: str, row: models.Model | None = None, detail: str = "") -> None:
    """Write an entry of the audit log, in the scope that is open."""
    apps.get_model(settings.AUDIT_MODEL)._default_manager.create(
        user_id=actor.user_id,
        action=action,
        reason=actor.acting_reason,
        object_kind=row._meta.label_lower if row is not None else "",
        object_id=str(row.pk) if row is not None else "",
        detail=detail,
    )


def _actor(request: HttpRequest, creator_id: UUID, reason: str) -> Actor:
    user_id: Any = request.user.pk
    return Actor(user_id=user_id, creator_id=creator_id, role=Role.ADMIN, acting_reason=reason)
