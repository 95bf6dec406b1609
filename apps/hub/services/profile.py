"""What a creator says about themselves."""

from typing import Any

from apps.accounts.services import Standing, creator_name
from apps.hub.models import Profile
from apps.hub.schemas import ProfileOut
from shared.tenancy.actor import Actor, Role
from shared.tenancy.reads import Read, Rows

_COLUMNS = tuple(ProfileOut.model_fields)


def _profile() -> Any:
    return Profile.objects.all()


PROFILE = Read(_profile, _COLUMNS)


def the_profile(standing: Standing, rows: Rows) -> dict[str, Any]:
    """The row of `PROFILE`; the defaults, under the creator's own name, until something was changed."""
    if rows:
        return dict(zip(_COLUMNS, rows[0], strict=True))
    defaults = {column: Profile._meta.get_field(column).get_default() for column in _COLUMNS}
    return {**defaults, "display_name": standing.creator_name}


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
