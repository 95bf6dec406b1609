"""How a document's facts read on a page."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.timesince import timesince

from apps.knowledge import media_types
from apps.knowledge.presentation import count_places

register = template.Library()

_KINDS = {media_type: suffixes[0].removeprefix(".") for media_type, suffixes in media_types.SUFFIXES.items()}


@register.filter
def kind(media_type: str) -> str:
    """A few letters for an icon: "pdf", "docx"; "file" for what the hub cannot read."""
    return _KINDS.get(media_type, "file")


@register.filter
def places(media_type: str, number: int) -> str:
    """How much there is of a document of this media type: "1 page", "12 slides"."""
    return count_places(media_type, number)


@register.filter
def ago(moment: datetime) -> str:
    """How long ago, in its largest unit: "just now", "3 minutes ago"."""
    if (timezone.now() - moment).total_seconds() < 60:
        return "just now"
    return f"{timesince(moment, depth=1)} ago"
