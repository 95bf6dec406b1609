"""What a creator says about themselves."""

from typing import Any

from apps.accounts.services import creator_name
from apps.hub.models import Profile
from shared.tenancy.actor import Actor, Role


def get_profile(actor: Actor) -> Profile:
    """The creator's profile; the defaults, under the creator's own name, until something was changed."""
    profile = Profile.objects.first()
    return profile or Profile(display_name=creator_name(actor))


def update_profile(actor: Actor, *, changes: dict[str, Any]) -> Profile:
    """Change the named fields and leave the others."""
    actor.require(Role.EDITOR)
    # Two first changes at the same moment make one row.
    Profile.objects.bulk_create([Profile(display_name=creator_name(actor))], ignore_conflicts=True)
    profile = Profile.objects.select_for_update().get()
    for field, value in changes.items():
        setattr(profile, field, value)
    profile.save()
    return profile
