"""What can be done with a document on its page: its steps, its versions, its work."""

import pytest

from apps.knowledge.models import Document, Source, Stage, Status, Version
from tests.isolation.world import build_acme
from tests.pages.test_document_pages import HTMX, a_file


@pytest.fixture
def world(alice):
    return build_acme(alice.actor)


@pytest.fixture
def handbook(world):
    return f"/documents/{world.things['handbook']}"


@pytest.fixture
def draft(world):
    return f"/documents/{world.things['draft']}"


@pytest.fixture
def broken(world):
    return f"/documents/{world.things['broken']}"


def status_of(actor, *, document_id):
    return Document.objects.get(id=document_id).status


def change_stage(actor, *, document_id, name, **fields):
    Stage.objects.filter(version__document_id=document_id, name=name).update(**fields)


def test_a_failed_step_says_why_and_how_often_it_was_tried(alices_pages, alice, serve, world, broken):
    fields = {"state": "failed", "attempts": 3, "failure_code": "password_protected"}
    serve(alice.actor, change_stage, document_id=world.things["broken"], name="extract", **fields)

    page = alices_pages.get(broken).text

    step = page.partition('data-stage="extract"')[2].partition("</li>")[0]
    assert "Given up after 3 attempts" in step
    assert "password" in step
    assert page.count('<div class="notice">') == 1


def test_a_step_at_work_says_how_far_it_is_and_that_it_is_not_the_first_attempt(
    alices_pages, alice, serve, world, draft
):
    fields = {"state": "running", "attempts": 2, "done": 3, "total": 9}
    serve(alice.actor, change_stage, document_id=world.things["draft"], name="embed", **fields)

    assert "3 of 9, attempt 2" in alices_pages.get(draft).text


def test_what_is_worked_on_can_be_cancelled(alices_pages, alice, serve, world, draft):
    page = alices_pages.get(draft).text
    assert f"{draft}/cancel" in page
    assert "Process again" not in page

    response = alices_pages.post(f"{draft}/cancel")

    assert (response.status_code, response.url) == (302, draft)
    assert serve(alice.actor, status_of, document_id=world.things["draft"]) == Status.CANCELLED
    page = alices_pages.get(draft).text
    assert "Process again" in page
    assert page.count('<span class="says">Cancelled</span>') == 7


def test_what_has_finished_can_be_processed_again(alices_pages, alice, serve, world, handbook):
    response = alices_pages.post(f"{handbook}/process-again")

    assert (response.status_code, response.url) == (302, handbook)
    assert serve(alice.actor, status_of, document_id=world.things["handbook"]) == Status.QUEUED
    page = alices_pages.get(handbook).text
    assert page.count('class="version"') == 2
    assert page.count("Answers searches") == 1
    assert "Search in it" in page  # the first version still answers


def test_another_file_becomes_a_new_version(alices_pages, handbook):
    response = alices_pages.post(f"{handbook}/versions", {"file": a_file("second.md")})

    assert (response.status_code, response.url) == (302, handbook)
    assert "second.md" in alices_pages.get(handbook).text


def test_a_refused_version_is_explained_on_the_page(alices_pages, handbook):
    alices_pages.post("/documents", {"file": a_file()})

    nothing = alices_pages.post(f"{handbook}/versions", {})
    elsewhere = alices_pages.post(f"{handbook}/versions", {"file": a_file()})

    assert nothing.status_code == 422
    assert "Choose a file first." in nothing.text
    assert elsewhere.status_code == 409
    assert "Another document has this content already" in elsewhere.text
    assert "Quorvexa handbook" in elsewhere.text


def with_a_second_version(actor, *, document_id):
    """The handbook's second version answers now; the first keeps its passages."""
    first = Version.objects.get(document_id=document_id)
    Version.objects.create(
        document_id=document_id, number=2, origin="refresh", filename="new.md", status="ready", keeps_passages=True
    )
    Document.objects.filter(id=document_id).update(version=2, live_version=2)
    return first


def live_version(actor, *, document_id):
    return Document.objects.get(id=document_id).live_version


def test_an_earlier_version_answers_again(alices_pages, alice, serve, world, handbook):
    serve(alice.actor, with_a_second_version, document_id=world.things["handbook"])
    page = alices_pages.get(handbook).text
    assert page.count("Go back to this one") == 1
    assert "Changed at its address" in page

    response = alices_pages.post(f"{handbook}/versions/1/restore")

    assert (response.status_code, response.url) == (302, handbook)
    assert serve(alice.actor, live_version, document_id=world.things["handbook"]) == 1


def test_a_version_that_never_was_ready_is_not_gone_back_to(alices_pages, broken):
    response = alices_pages.post(f"{broken}/versions/1/restore")

    assert response.status_code == 409
    assert "This version never was ready" in response.text
    assert "Go back to this one" not in response.text


@pytest.mark.parametrize("number", [2, 2**31, 10**30])
def test_there_is_no_such_version(alices_pages, handbook, number):
    assert alices_pages.post(f"{handbook}/versions/{number}/restore").status_code == 404
    assert alices_pages.get(f"{handbook}/content?version={number}").status_code == 404


@pytest.mark.parametrize("number", ["0", "-1", "x", "²"])
def test_a_version_that_is_no_number_is_none(alices_pages, handbook, number):
    assert alices_pages.get(f"{handbook}/content", {"version": number}).status_code == 404


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse")  # the test client reads it synchronously
def test_each_version_is_saved_by_itself(alices_pages, world, handbook):
    alices_pages.post(f"{handbook}/versions", {"file": a_file("second.md")})

    assert b"".join(alices_pages.get(f"{handbook}/content?version=1")) == world.content
    assert b"walrus" in b"".join(alices_pages.get(f"{handbook}/content?version=2"))


def test_older_versions_unfold(alices_pages, handbook):
    for _ in range(5):
        alices_pages.post(f"{handbook}/process-again")
        alices_pages.post(f"{handbook}/cancel")

    assert "1 older version<" in alices_pages.get(handbook).text


def test_the_address_is_told_with_how_often_it_is_looked_at(alices_pages, alice, serve, handbook):
    serve(alice.actor, lambda actor: Source.objects.update(refresh_hours=24, failure_code="url_unreachable"))

    page = alices_pages.get(handbook).text

    assert "https://vostrugate.example/handbook.txt" in page
    assert "Look again every day" in page
    assert "No server answers at this address at the moment." in page


def test_an_address_that_is_looked_at_in_other_steps_says_them(alices_pages, alice, serve, handbook):
    serve(alice.actor, lambda actor: Source.objects.update(refresh_hours=5))

    assert "Look again every 5 hours" in alices_pages.get(handbook).text


def test_the_script_gets_steps_facts_and_versions(alices_pages, handbook):
    part = alices_pages.get(handbook, headers=HTMX).text

    for place in ('id="progress"', "#facts-place", "#versions-place"):
        assert place in part
    assert 'type="file"' not in part  # a file that is chosen already stays so


def test_a_viewer_sees_all_of_it_and_changes_nothing(bobs_pages, handbook, draft):
    page = bobs_pages.get(handbook).text

    assert "Versions" in page
    assert page.count("<form") == 1  # to sign out
    for path in (f"{handbook}/process-again", f"{draft}/cancel", f"{handbook}/versions/1/restore"):
        assert bobs_pages.post(path).status_code == 403
    assert bobs_pages.post(f"{handbook}/versions", {"file": a_file()}).status_code == 403
