"""What the profile and the usage look like."""

import re
from typing import Annotated
from zoneinfo import available_timezones

from ninja import Schema
from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter

from shared.reading import Out
from shared.text import Label, SafeText, VisibleText, has_forbidden_characters

_LANGUAGE = re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*")  # the shape of BCP 47
_HTTP_URL = TypeAdapter(HttpUrl)


def _prose(text: str) -> str:
    # A biography has paragraphs; nothing else that cannot be seen belongs in one.
    normal = text.replace("\r\n", "\n")
    if has_forbidden_characters(normal.replace("\n", "").replace("\t", "")):
        raise ValueError("must not contain control characters")
    return normal.strip()


def _web_address(url: str) -> str:
    # Shown as a link later: a script or a file must not hide behind it.
    return str(_HTTP_URL.validate_python(url)) if url else ""


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("must be a name of the time zone database, such as Europe/Berlin")
    return name


def _language(tag: str) -> str:
    if not _LANGUAGE.fullmatch(tag):
        raise ValueError("must be a language tag, such as en or de-CH")
    return tag


class ProfileOut(Out):
    """A creator's profile."""

    display_name: str
    bio: str
    website_url: str
    timezone: str
    language: str
    coaching_categories: list[str]


class ProfileChange(Schema):
    """What may be changed; what is left out stays."""

    display_name: Annotated[VisibleText, Field(min_length=1, max_length=120)] = ""
    bio: Annotated[str, Field(max_length=2000), AfterValidator(_prose)] = ""
    website_url: Annotated[SafeText, Field(max_length=500), AfterValidator(_web_address)] = ""
    timezone: Annotated[str, Field(max_length=64), AfterValidator(_timezone)] = ""
    language: Annotated[str, Field(max_length=35), AfterValidator(_language)] = ""
    coaching_categories: Annotated[list[Label], Field(max_length=20)] = Field(default_factory=list)


class UsageOut(Out):
    """What a creator has in the hub. `quota_bytes` is null: nothing limits it."""

    documents: int
    ready: int
    processing: int
    failed: int
    passages: int
    bytes: int
    quota_bytes: int | None


EventNumber = Annotated[int, Field(ge=0, le=2**63 - 1)]

# A stream has no model; this is what the API's description says of it.
EVENTS_ANSWER = {
    "description": "Events: `id` is the number, `data` is `{seq, type, id, at, data}` as JSON.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
