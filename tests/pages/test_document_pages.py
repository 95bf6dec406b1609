"""The documents' pages: whole, in part, with and without the script."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings

from apps.knowledge.models import Document, Status
from tests.isolation.world import build_acme

HTMX = {"HX-Request": "true"}


def a_file(name="handbook.md", content=b"# Handbook\n\nThe walrus sings at dawn.\n"):
    return SimpleUploadedFile(name, content)


@pytest.fixture
def world(alice):
    return build_acme(alice.actor)


def test_without_documents_the_page_invites(alices_pages):
    page = alices_pages.get("/documents").text

    assert "Drop a file" in page
    assert 'class="row"' not in page


def test_the_documents_are_listed_with_their_state(alices_pages, world):
    page = alices_pages.get("/documents").text

    assert "Quorvexa handbook" in page
    assert 'data-state="ready">Ready' in page
    assert 'data-state="failed">Failed' in page


def test_htmx_gets_the_rows_alone(alices_pages, world):
    part = alices_pages.get("/documents", headers=HTMX)

    assert "<html" not in part.text
    assert part.text.count('class="row"') == 3
    assert "HX-Request" in part.headers["Vary"]


def test_going_back_gets_the_whole_page(alices_pages, world):
    page = alices_pages.get("/documents", headers={**HTMX, "HX-History-Restore-Request": "true"})

    assert "<html" in page.text


def test_rows_are_found_by_title_and_state(alices_pages, world):
    assert alices_pages.get("/documents?q=QUORVEXA%20draft").text.count('class="row"') == 1
    assert alices_pages.get("/documents?status=ready").text.count('class="row"') == 1
    assert "Nothing matches" in alices_pages.get("/documents?q=walrus").text


@pytest.mark.parametrize("query", ["status=nonsense", "q=%00%0d", "q=" + "x" * 3000])
def test_nonsense_in_the_address_does_no_harm(alices_pages, world, query):
    assert alices_pages.get(f"/documents?{query}").status_code == 200


def test_a_cursor_that_was_made_up_is_refused(alices_pages, world):
    assert alices_pages.get("/documents?cursor=%C3%BC").status_code == 422


def test_older_documents_are_one_click_away(alices_pages, world, monkeypatch):
    monkeypatch.setattr("apps.knowledge.pages.ROWS", 2)
    first = alices_pages.get("/documents?q=quorvexa")

    link = first.text.partition('hx-get="?')[2].partition('"')[0].replace("&amp;", "&")
    second = alices_pages.get(f"/documents?{link}", headers=HTMX)

    assert first.text.count('class="row"') == 2
    assert second.text.count('class="row"') == 1


def test_a_file_of_the_plain_form_is_taken(alices_pages):
    response = alices_pages.post("/documents", {"file": [a_file(), a_file("two.txt", b"Two")]})

    assert response.status_code == 302
    assert response.url == "/documents"
    page = alices_pages.get("/documents").text
    assert "handbook" in page
    assert "two.txt" in page


def test_a_file_of_the_script_is_answered_with_its_row(alices_pages, alice, serve):
    response = alices_pages.post("/documents", {"file": a_file()}, headers=HTMX)

    assert response.status_code == 201
    assert response.text.count('<li class="row"') == 1
    assert 'data-state="queued"' in response.text


def test_the_same_content_again_is_the_same_row(alices_pages):
    first = alices_pages.post("/documents", {"file": a_file()}, headers=HTMX)
    again = alices_pages.post("/documents", {"file": a_file("other-name.md")}, headers=HTMX)

    row_id = first.text.partition('data-document="')[2].partition('"')[0]
    assert f'data-document="{row_id}"' in again.text


@override_settings(MAX_UPLOAD_BYTES=10)
def test_a_file_that_is_too_large_is_refused_in_words(alices_pages):
    by_script = alices_pages.post("/documents", {"file": a_file()}, headers=HTMX)
    by_form = alices_pages.post("/documents", {"file": a_file("<b>big.md")})

    assert by_script.status_code == by_form.status_code == 413
    assert by_script.json()["code"] == "upload_too_large"
    assert "&lt;b&gt;big.md" in by_form.text


def test_an_empty_form_is_refused_in_words(alices_pages):
    response = alices_pages.post("/documents", {})

    assert response.status_code == 422
    assert "Choose a file first." in response.text


def test_a_viewer_sees_documents_and_can_neither_bring_nor_delete(bobs_pages, world):
    page = bobs_pages.get("/documents").text
    detail = bobs_pages.get(f"/documents/{world.things['handbook']}").text

    assert "Quorvexa handbook" in page
    assert 'type="file"' not in page
    assert "Delete" not in detail
    assert bobs_pages.post("/documents", {"file": a_file()}).status_code == 403
    assert bobs_pages.post("/documents", {"file": a_file()}, headers=HTMX).json()["code"] == "role_required"
    assert bobs_pages.post(f"/documents/{world.things['handbook']}/delete").status_code == 403


def test_one_row(alices_pages, world):
    row = alices_pages.get(f"/documents/{world.things['draft']}/row").text

    assert row.strip().startswith('<li class="row"')
    assert "Quorvexa draft" in row


def test_the_document_tells_its_steps(alices_pages, world):
    page = alices_pages.get(f"/documents/{world.things['handbook']}").text

    for step in ("Read the text", "Cut into passages", "Learn what it says", "Add to the index", "Try a search"):
        assert step in page
    assert page.count('data-state="done"') == 7
    assert "Search in it" in page


def test_htmx_gets_the_steps_alone(alices_pages, world):
    part = alices_pages.get(f"/documents/{world.things['handbook']}", headers=HTMX).text

    assert "<html" not in part
    assert 'id="progress"' in part
    assert 'hx-swap-oob="innerHTML:#facts-place"' in part


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse")  # the test client reads it synchronously
def test_the_file_is_saved_and_never_shown(alices_pages, world):
    response = alices_pages.get(f"/documents/{world.things['handbook']}/content")

    assert b"".join(response) == world.content
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].startswith("sandbox")


def test_deleting_takes_the_document_and_its_file(alices_pages, world):
    gone = world.things["handbook"]

    response = alices_pages.post(f"/documents/{gone}/delete")

    assert response.url == "/documents"
    assert alices_pages.get(f"/documents/{gone}").status_code == 404
    assert gone not in alices_pages.get("/documents").text


def test_deleting_takes_a_form(alices_pages, world):
    assert alices_pages.get(f"/documents/{world.things['handbook']}/delete").status_code == 405


@pytest.mark.parametrize("part", ["", "/row", "/content"])
def test_a_foreign_document_is_like_none(mallorys_pages, world, part):
    missing = "0197b2f0-0000-7000-8000-000000000000"

    foreign = mallorys_pages.get(f"/documents/{world.things['handbook']}{part}")

    assert foreign.status_code == mallorys_pages.get(f"/documents/{missing}{part}").status_code == 404
    assert not world.words_in(foreign.text)


def test_a_stranger_is_sent_to_sign_in(client, db):
    response = client.get("/documents")

    assert response.status_code == 302
    assert response.url.startswith("/sign-in")


def test_a_strangers_script_is_told_to_go_to_sign_in(client, db):
    response = client.get("/documents", headers=HTMX)

    assert response.status_code == 204
    assert response.headers["HX-Redirect"].startswith("/sign-in")


def test_no_page_is_kept_by_a_cache(alices_pages, world):
    for path in ("/documents", f"/documents/{world.things['handbook']}", "/search"):
        assert "no-store" in alices_pages.get(path).headers["Cache-Control"]


HOSTILE = "<img src=x onerror=alert(1)>\"'{{7*7}}.md"


def test_a_hostile_name_stays_text_everywhere(alices_pages, alice, serve):
    row = alices_pages.post("/documents", {"file": a_file(HOSTILE)}, headers=HTMX).text
    document_id = row.partition('data-document="')[2].partition('"')[0]

    for page in (
        row,
        alices_pages.get("/documents").text,
        alices_pages.get(f"/documents/{document_id}").text,
        alices_pages.get(f"/search?document={document_id}").text,
    ):
        assert "<img" not in page.replace('<img src="/static/', "")
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
        assert "49.md" not in page


def test_the_failure_and_what_to_do_are_said(alices_pages, world, alice, serve):
    def fail(actor, document_id):
        Document.objects.filter(id=document_id).update(
            status=Status.FAILED, failure_sentence="It is protected by a password.", failure_action="Save it without."
        )

    serve(alice.actor, fail, document_id=world.things["broken"])

    for path in ("", f"/{world.things['broken']}", f"/{world.things['broken']}/row"):
        page = alices_pages.get(f"/documents{path}").text
        assert "It is protected by a password." in page
        assert "Save it without." in page
