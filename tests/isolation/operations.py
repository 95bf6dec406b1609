"""Every operation of the API, and how the owner of Acme calls it with success.

The operations are read from the OpenAPI document; the table below says the rest. An operation that is missing here
fails the tests on the day it is written.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from apps.knowledge.embedding import available_models
from config.api import api
from tests.isolation.world import (
    BIO,
    CATEGORY,
    EVENT,
    FILENAME,
    HEADING,
    NAME,
    QUERY,
    SITE,
    TAG,
    TEXT,
    TITLE,
    UNANSWERED,
)

# Callable without a token, each for a reason.
PUBLIC_OPERATIONS = {
    "POST /api/v1/auth/register": "nobody has an account yet",
    "POST /api/v1/auth/login": "this is how one gets a token",
    "POST /api/v1/auth/refresh": "the refresh token is the credential",
    "GET /api/v1/auth/jwks": "public keys",
}


@dataclass(frozen=True)
class Id:
    """The id of one of the world's things, inside a call."""

    thing: str


@dataclass(frozen=True)
class Call:
    """A call that succeeds for Acme's owner with `status`.

    `path`, `query`, `body` and `form` may hold `Id`s. `shows` names words of Acme's that the owner's answer has to
    hold, so that looking for them in another's answer means something.
    """

    status: int
    path: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    form: dict[str, Any] | None = None
    shows: tuple[str, ...] = ()

    @property
    def names_things(self):
        """Whether the call names something that belongs to somebody."""
        return any(isinstance(value, Id) for value in _leaves([self.path, self.query, self.body, self.form]))


def _leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def filled(value, things):
    """The same, with the ids of things in the place of their names."""
    if isinstance(value, Id):
        return things[value.thing]
    if isinstance(value, dict):
        return {key: filled(part, things) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [filled(part, things) for part in value]
    return value


def nowhere():
    """Ids of things that do not exist; the same id for the same thing."""
    return defaultdict(lambda: str(uuid4()))


@dataclass(frozen=True)
class Operation:
    """One method and path of the OpenAPI document."""

    method: str
    path: str
    details: dict = field(compare=False, repr=False)

    def __str__(self):
        return f"{self.method} {self.path}"

    def send(self, client, call, things, **headers):
        """Send the call, with `things` for its ids, through Django's test client."""
        path = self.path
        for name, value in filled(call.path, things).items():
            path = path.replace("{" + name + "}", quote(str(value), safe=""))
        if call.query:
            path += "?" + urlencode(filled(call.query, things), doseq=True)
        content, content_type = _encoded(call, things)
        return client.generic(self.method, path, content, content_type, headers=headers)


def _encoded(call, things):
    if call.form is not None:
        form = filled(call.form, things)
        files = {
            name: SimpleUploadedFile(*value) if isinstance(value, list) and isinstance(value[-1], bytes) else value
            for name, value in form.items()
        }
        return encode_multipart(BOUNDARY, files), MULTIPART_CONTENT
    if call.body is not None:
        return json.dumps(filled(call.body, things)), "application/json"
    return b"", "application/octet-stream"


def every_operation():
    """All operations, as the OpenAPI document lists them."""
    return [
        Operation(method.upper(), path, details)
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method, details in methods.items()
    ]


HANDBOOK = {"document_id": Id("handbook")}
DRAFT = {"document_id": Id("draft")}
BROKEN = {"document_id": Id("broken")}
GOLDEN = {"question_id": Id("golden")}
# The hub's own, and the same for everybody.
MODEL = {"model_id": str(available_models()[0])}
MODEL_ANSWERS = {"model": MODEL["model_id"]}
EMPTY_ZIP = b"PK\x05\x06" + b"\x00" * 18
NEW_TEXT = ("notes.txt", b"A new text that nobody has brought before.")

# How Acme's owner calls each operation with success.
CALLS = {
    "POST /api/v1/auth/register": Call(
        201, body={"email": "new@elsewhere.example.com", "password": "a long enough sentence", "display_name": "New"}
    ),
    "POST /api/v1/auth/login": Call(200, body={"email": Id("email"), "password": Id("password")}),
    "POST /api/v1/auth/refresh": Call(200, body={"refresh_token": Id("refresh_token")}),
    "POST /api/v1/auth/logout": Call(204),
    "GET /api/v1/auth/me": Call(200),
    "GET /api/v1/auth/jwks": Call(200),
    "GET /api/v1/profile": Call(200, shows=(NAME, BIO, SITE, CATEGORY)),
    "PATCH /api/v1/profile": Call(200, body={"timezone": "Europe/Vienna"}, shows=(NAME, BIO)),
    "GET /api/v1/usage": Call(200),
    "GET /api/v1/events": Call(200, query={"after": 0}, shows=(EVENT,)),
    "POST /api/v1/documents": Call(202, form={"file": NEW_TEXT, "title": "Notes"}),
    "GET /api/v1/documents": Call(200, query={"limit": 2}, shows=(TITLE, FILENAME, TAG)),
    "GET /api/v1/documents/{document_id}": Call(200, HANDBOOK, shows=(TITLE, FILENAME, TAG)),
    "PATCH /api/v1/documents/{document_id}": Call(200, HANDBOOK, body={"title": "Renamed"}, shows=(FILENAME,)),
    "DELETE /api/v1/documents/{document_id}": Call(204, HANDBOOK),
    "GET /api/v1/documents/{document_id}/content": Call(200, HANDBOOK, shows=(TEXT, HEADING)),
    "GET /api/v1/documents/{document_id}/stages": Call(200, HANDBOOK),
    "GET /api/v1/documents/{document_id}/versions": Call(200, HANDBOOK),
    "POST /api/v1/documents/{document_id}/versions": Call(202, HANDBOOK, form={"file": NEW_TEXT}, shows=(TITLE,)),
    "POST /api/v1/documents/{document_id}/versions/{number}/restore": Call(
        200, {**HANDBOOK, "number": 1}, shows=(TITLE,)
    ),
    "GET /api/v1/documents/{document_id}/passages": Call(200, HANDBOOK, shows=(TEXT, HEADING)),
    "PATCH /api/v1/documents/{document_id}/passages/{passage_id}": Call(
        200, {**HANDBOOK, "passage_id": Id("chunk")}, body={"hidden": True}, shows=(TEXT,)
    ),
    "POST /api/v1/documents/{document_id}/reprocess": Call(202, BROKEN, shows=(TITLE,)),
    "POST /api/v1/documents/{document_id}/cancel": Call(200, DRAFT, shows=(TITLE,)),
    "POST /api/v1/documents/import": Call(202, body={"url": "https://example.com/notes.txt", "refresh_hours": 24}),
    "POST /api/v1/documents/archive": Call(202, form={"file": ("notes.zip", EMPTY_ZIP)}),
    "GET /api/v1/imports/{import_id}": Call(200, {"import_id": Id("import")}, shows=(FILENAME, HEADING)),
    "GET /api/v1/documents/{document_id}/source": Call(200, HANDBOOK, shows=(SITE,)),
    "PATCH /api/v1/documents/{document_id}/source": Call(200, HANDBOOK, body={"refresh_hours": 24}, shows=(SITE,)),
    "GET /api/v1/golden-questions": Call(200, shows=(TITLE, TEXT, HEADING)),
    "POST /api/v1/golden-questions": Call(
        201, body={"question": "How?", "document_id": Id("handbook"), "chunk_id": Id("chunk")}, shows=(TITLE, TEXT)
    ),
    "POST /api/v1/golden-questions/run": Call(202),
    "GET /api/v1/golden-questions/{question_id}": Call(200, GOLDEN, shows=(TITLE, TEXT, HEADING)),
    "PATCH /api/v1/golden-questions/{question_id}": Call(
        200, GOLDEN, body={"document_id": Id("draft")}, shows=(TITLE, TEXT)
    ),
    "DELETE /api/v1/golden-questions/{question_id}": Call(204, GOLDEN),
    "GET /api/v1/search": Call(
        200, query={"q": "tuned twice a year", "document_id": Id("handbook")}, shows=(TITLE, TEXT, HEADING)
    ),
    "GET /api/v1/search/suggest": Call(200, query={"q": TEXT[:5]}, shows=(TEXT,)),
    "POST /api/v1/search/{search_id}/click": Call(204, {"search_id": Id("search")}, body={"chunk_id": Id("chunk")}),
    "GET /api/v1/search/models": Call(200),
    "PUT /api/v1/search/model": Call(200, body=MODEL_ANSWERS),
    "POST /api/v1/search/models/{model_id}/trial": Call(202, MODEL),
    "GET /api/v1/search/models/{model_id}/trial": Call(200, MODEL, shows=(TITLE, TEXT)),
    "GET /api/v1/searches": Call(200, query={"limit": 5}, shows=(QUERY, UNANSWERED)),
    "GET /api/v1/searches/unanswered": Call(200, query={"days": 7}, shows=(UNANSWERED,)),
}
