"""The header on the API itself: every POST takes it."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.accounts.models import Creator, User
from apps.knowledge.models import Document
from config.api import api
from shared.tenancy.scope import creator_scope

REGISTER = "/api/v1/auth/register"
BODY = {"email": "dora@dora.example.com", "password": "correct horse battery", "display_name": "Dora"}


def send(client, path, body, key, **headers):
    return client.post(
        path, json.dumps(body), content_type="application/json", headers={"Idempotency-Key": key, **headers}
    )


def upload(client, person, key, content=b"Some words.\n", name="words.txt"):
    file = SimpleUploadedFile(name, content, content_type="text/plain")
    return client.post("/api/v1/documents", {"file": file}, headers={"Idempotency-Key": key, **person.headers})


@pytest.mark.django_db
def test_a_registration_whose_answer_got_lost_can_be_repeated(client):
    first, second = (send(client, REGISTER, BODY, "k1") for _ in range(2))

    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert User.objects.count() == Creator.objects.count() == 1


@pytest.mark.django_db
def test_with_another_body_the_key_is_refused(client):
    send(client, REGISTER, BODY, "k1")
    other = send(client, REGISTER, BODY | {"display_name": "Doris"}, "k1")

    assert other.status_code == 422
    assert other.headers["Content-Type"].startswith("application/problem+json")
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.django_db
def test_a_bad_key_is_refused_in_words(client):
    answer = send(client, REGISTER, BODY, "a b")
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
    assert User.objects.count() == 0


@pytest.mark.django_db
def test_an_error_is_not_stored(client):
    refused = send(client, REGISTER, BODY | {"password": "short"}, "k1")
    assert refused.status_code == 422
    assert send(client, REGISTER, BODY, "k1").status_code == 201


def test_an_upload_can_be_repeated_though_its_boundary_differs(client, alice):
    first, second = upload(client, alice, "k1"), upload(client, alice, "k1")

    assert first.status_code == second.status_code == 202
    assert first.content == second.content
    with creator_scope(alice.creator.id):
        assert Document.objects.count() == 1


def test_the_same_key_with_another_file_is_refused(client, alice):
    upload(client, alice, "k1")
    other = upload(client, alice, "k1", content=b"Other words.\n")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_another_creators_same_key_and_file_make_a_document_of_their_own(client, alice, mallory):
    first, second = upload(client, alice, "k1"), upload(client, mallory, "k1")
    assert first.status_code == second.status_code == 202
    assert first.json()["id"] != second.json()["id"]


def test_logging_out_can_be_repeated_and_a_stranger_learns_nothing(client, alice):
    first = send(client, "/api/v1/auth/logout", {}, "k1", **alice.headers)
    assert first.status_code == 204
    again = send(client, "/api/v1/auth/logout", {}, "k1")
    assert again.status_code == 401


# Repeated they change nothing, with a key or without.
NO_KEY_NEEDED = {"/search/{uuidstr:search_id}/click": "the same passage of a search counts once: a constraint says so"}


def test_every_post_of_the_api_goes_through_answer_once():
    """A POST that does not would run twice for a client that repeats it."""
    import ast
    import inspect
    import textwrap

    missing = []
    for _, router in api._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                source = textwrap.dedent(inspect.getsource(operation.view_func))
                names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
                if "POST" in operation.methods and "answer_once" not in names and path not in NO_KEY_NEEDED:
                    missing.append(path)
    assert missing == []
