"""The creators themselves, for work that has to look at each of them."""

from uuid import UUID

from apps.accounts.models import Creator


def list_creator_ids() -> list[UUID]:
    """The id of every creator, oldest first."""
    return list(Creator.objects.order_by("id").values_list("id", flat=True))
