"""Documents in tests, and a quick embedder for tests that are not about meaning."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID
from zlib import crc32

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.knowledge import embedding, operations, pipeline, unpacking
from apps.knowledge.embedding import DIMENSIONS
from apps.knowledge.extraction import kept
from apps.knowledge.models import Document, Version
from shared.tenancy.actor import Actor
from shared.tenancy.scope import creator_scope
from tests.fixtures.auth_fixtures import Person


class WordEmbedder:
    """Texts that share words are near each other: enough for every test that is not about meaning."""

    name = "words"
    dimensions = DIMENSIONS

    async def embed(self, texts: Any) -> Any:
        vectors = np.full((len(texts), DIMENSIONS), 1e-6, dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                vectors[row, crc32(word.encode()) % DIMENSIONS] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def no_kept_readers() -> Iterator[None]:
    """None is left for the next test."""
    yield
    kept.close_all()


@pytest.fixture(autouse=True)
def words_for_meaning(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The quick embedder, unless the test is marked with `real_embedder` by asking for it."""
    if "real_embedder" not in request.fixturenames:
        monkeypatch.setattr(embedding, "_embedder", WordEmbedder())
        monkeypatch.setattr(embedding, "_next_embedder", None)


def path_of(person: Person, document: Document) -> str:
    """Where the file of a document's newest version lies."""
    with creator_scope(person.creator.id):
        path: str = Version.objects.get(document=document, number=document.version).storage_path
        return path


@pytest.fixture
def real_embedder() -> Any:
    """The model that comes along."""
    return embedding.current_embedder()


@pytest.fixture
def upload(client: Client) -> Callable[..., Any]:
    """Upload through the API: `upload(alice, b"text", "name.txt", title="...")`."""

    def call(person: Person, content: bytes, name: str = "notes.txt", **fields: Any) -> Any:
        headers = {**person.headers, **fields.pop("headers", {})}
        file = SimpleUploadedFile(name, content)
        # The name as given: the class itself cuts off folders, which a client need not do.
        file._name = name
        return client.post("/api/v1/documents", {"file": file, **fields}, headers=headers)

    return call


@pytest.fixture
def bring(db: None) -> Callable[..., Document]:
    """A document that is there already, not processed: `bring(alice, b"text", "name.txt")`."""

    def call(person: Person, content: bytes, name: str = "notes.txt", **fields: Any) -> Document:
        file = SimpleUploadedFile(name, content)
        return async_to_sync(operations.upload_document)(person.actor, file, **fields)

    return call


@pytest.fixture
def process(db: None) -> Callable[[Actor, Document], Document]:
    """What the worker would do with the newest version; returns the document as it is then."""

    def call(actor: Actor, document: Document) -> Document:
        with creator_scope(actor.creator_id):
            version = Version.objects.filter(document_id=document.id).order_by("-number").first()
        async_to_sync(pipeline.run)(actor, version.id)
        with creator_scope(actor.creator_id):
            return Document.objects.get(id=document.id)

    return call


@pytest.fixture
def ready(bring: Any, process: Any) -> Callable[..., Document]:
    """A document that search finds: `ready(alice, b"text")`."""

    def call(person: Person, content: bytes, name: str = "notes.txt", **fields: Any) -> Document:
        document = process(person.actor, bring(person, content, name, **fields))
        assert document.status == "ready", document.failure_sentence
        return document

    return call


@pytest.fixture
def send(client: Client) -> Callable[..., Any]:
    """Upload an archive over the API."""

    def call(person: Person, content: bytes, name: str = "notes.zip", **fields: Any) -> Any:
        headers = {**person.headers, **fields.pop("headers", {})}
        form = {"file": SimpleUploadedFile(name, content), **fields}
        return client.post("/api/v1/documents/archive", form, headers=headers)

    return call


@pytest.fixture
def unpack(send: Any, client: Client) -> Callable[..., Any]:
    """Upload an archive, unpack it as the worker would, and ask how it went."""

    def call(person: Person, content: bytes, **fields: Any) -> Any:
        response = send(person, content, **fields)
        assert response.status_code == 202, response.content
        async_to_sync(unpacking.unpack)(person.actor, UUID(response.json()["id"]))
        return client.get(f"/api/v1/imports/{response.json()['id']}", headers=person.headers).json()

    return call


@pytest.fixture
def bring_version(client: Client) -> Callable[..., Any]:
    """New content for a document, through the API: `bring_version(alice, document, b"text")`."""

    def call(person: Person, document: Any, content: bytes, name: str = "shop.md", **headers: str) -> Any:
        form = {"file": SimpleUploadedFile(name, content)}
        url = f"/api/v1/documents/{document.id}/versions"
        return client.post(url, form, headers={**person.headers, **headers})

    return call


# ---- Searches that are remembered


@pytest.fixture
def ask(client):
    """Search through the API: `ask(alice, "refunds")`."""

    def call(person, q, **query):
        response = client.get("/api/v1/search", {"q": q, **query}, headers=person.headers)
        assert response.status_code == 200, response.content
        return response.json()

    return call


@pytest.fixture
def listed(client):
    """What the list of searches says."""

    def call(person, **query):
        response = client.get("/api/v1/searches", query, headers=person.headers)
        assert response.status_code == 200, response.content
        return response.json()["items"]

    return call


@pytest.fixture
def unanswered(client):
    """What was asked in vain, as `(query, times)`."""

    def call(person, **query):
        response = client.get("/api/v1/searches/unanswered", query, headers=person.headers)
        assert response.status_code == 200, response.content
        return [(item["query"], item["times"]) for item in response.json()["items"]]

    return call


@pytest.fixture
def click(client):
    """Say that a passage was opened."""

    def call(person, search_id, **body):
        url = f"/api/v1/search/{search_id}/click"
        return client.post(url, body, content_type="application/json", headers=person.headers)

    return call


# ---- Two models


@pytest.fixture
def next_model(monkeypatch):
    """A model that is configured beside the one that answers."""
    from tests.knowledge.models import Letters

    model = Letters()
    monkeypatch.setattr(embedding, "_next_embedder", model)
    return model
