"""How a document's facts read on a page."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.timesince import timesince

from apps.knowledge import media_types

register = template.Library()

_KINDS = {media_type: suffixes[0].removeprefix(".") for media_type, suffixes in media_types.SUFFIXES.items()}


@register.filter
def kind(media_type: str) -> str:
    """A few letters for an icon: "pdf", "docx"; "file" for what the hub cannot read."""
    return _KINDS.get(media_type, "file")


@register.filter
def ago(moment: datetime) -> str:
    """How long ago, in its largest unit: "just now", "3 minutes ago"."""
    if (timezone.now() - moment).total_seconds() < 60:
        return "just now"
    return f"{timesince(moment, depth=1)} ago"
