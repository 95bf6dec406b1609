"""A small service that counts how often it ran, called the way an API operation calls one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.test import RequestFactory
from pydantic import BaseModel

from apps.hub.models import Profile
from shared.idempotency.answers import answer_once
from shared.tenancy.actor import Actor


class NoteOut(BaseModel):
    """What the service's result looks like on the wire."""

    id: UUID
    bio: str


@dataclass
class Notes:
    """`add` writes a row; what it wrote is what a creator sees of it."""

    calls: list[str] = field(default_factory=list)

    def add(self, actor: Actor, *, bio: str, fail: bool = False) -> Profile:
        """Write the creator's profile."""
        self.calls.append(bio)
        row, _ = Profile.objects.update_or_create(defaults={"bio": bio})
        if fail:
            raise ZeroDivisionError
        return row


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def post(notes: Notes) -> Callable[..., HttpResponse]:
    """Send a POST for an actor: `post(alice.actor, key="k", body="{}")`."""

    def send(
        actor: Actor | None,
        key: str | None,
        body: str = "a",
        *,
        path: str = "/notes",
        service: Any = notes.add,
        status: Any = 201,
        schema: Any = NoteOut,
        **more: Any,
    ) -> HttpResponse:
        headers = {} if key is None else {"Idempotency-Key": key}
        request = RequestFactory().post(path, body.encode(), content_type="application/json", headers=headers)
        request.actor = actor
        return async_to_sync(answer_once)(request, status, schema, service, **({"bio": body} | more))

    return send
