"""Who acts, for a dashboard session. Asked anew for each request; for tokens see `standing`."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.middleware import get_user
from django.http import HttpRequest

from apps.accounts.models import Creator, Membership, User
from shared.tenancy.actor import Actor, Role

SESSION_CREATOR = "creator_id"


@dataclass(frozen=True, slots=True)
class Me:
    """Who is signed in, for whom, and as what."""

    user: User
    creator: Creator
    role: Role


def load_session_actor(*, request: HttpRequest) -> Actor | None:
    """The actor behind a dashboard session, or None. `request` needs no more than its session.

    The creator is the one chosen at sign-in; when that membership is gone so is the session's say. Somebody
    who came in through the admin's sign-in acts for the creator they have belonged to longest.
    """
    user = get_user(request)
    if not user.is_authenticated:
        return None
    memberships = Membership.objects.filter(user=user.pk).order_by("created_at", "id")
    if (chosen := request.session.get(SESSION_CREATOR)) is not None:
        memberships = memberships.filter(creator=chosen)
    membership = memberships.first()
    if membership is None:
        return None
    return Actor(membership.user_id, membership.creator_id, Role(membership.role))


def membership_still_holds(*, user_id: UUID, creator_id: UUID) -> bool:
    """Whether an active user still belongs to a creator."""
    return Membership.objects.filter(user=user_id, creator=creator_id, user__is_active=True).exists()


def creator_name(actor: Actor) -> str:
    """What the actor's creator is called; staff who act as one need no membership for it."""
    return Creator.objects.values_list("display_name", flat=True).get(id=actor.creator_id)


def who_am_i(actor: Actor) -> Me:
    """The actor's user and creator, for pages. The API describes a `Standing`."""
    membership = Membership.objects.select_related("user", "creator").get(user=actor.user_id, creator=actor.creator_id)
    return Me(membership.user, membership.creator, actor.role)
