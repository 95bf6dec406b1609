"""What brings documents on the pages: archives and addresses, beside the files of `test_document_pages.py`."""

import io
import zipfile
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.knowledge.media_types import SUPPORTED
from apps.knowledge.models import Import, SkippedEntry, Source
from tests.isolation.world import build_acme
from tests.pages.test_document_pages import HTMX, a_file


@pytest.fixture
def world(alice):
    return build_acme(alice.actor)


def an_archive(*names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, f"The walrus wrote {name}.")
    return a_file("walrus.zip", content.getvalue())


def import_of(**fields):
    """Alice's one import, changed to what a worker would have made of it."""

    def change(actor):
        Import.objects.update(**fields)
        return Import.objects.get()

    return change


def test_the_field_offers_every_format_and_archives(alices_pages):
    page = alices_pages.get("/documents").text

    for suffix in (".pdf", ".docx", ".pptx", ".xlsx", ".html", ".epub", ".md", ".txt", ".eml", ".srt", ".vtt", ".zip"):
        assert f"{suffix}" in page.partition('id="file"')[2].partition(">")[0]
    assert len(SUPPORTED) == 11  # a new one wants a word in the help text
    assert "PowerPoint, Excel" in page


def test_an_archive_of_the_script_is_answered_with_its_row(alices_pages):
    response = alices_pages.post("/documents", {"file": an_archive("a.txt")}, headers=HTMX)

    assert response.status_code == 201
    assert 'data-import="' in response.text
    assert "walrus.zip" in response.text
    assert "Waiting its turn" in response.text


def test_an_archive_of_the_plain_form_is_an_import_on_the_page(alices_pages):
    assert alices_pages.post("/documents", {"file": an_archive("a.txt")}).status_code == 302

    page = alices_pages.get("/documents").text
    assert "walrus.zip" in page
    assert 'data-document="' not in page.partition('id="rows"')[2]


def test_an_import_tells_how_far_it_is(alices_pages, alice, serve):
    alices_pages.post("/documents", {"file": an_archive("a.txt")})
    archive = serve(alice.actor, import_of(state="running", total=40, done=12, taken=11))

    row = alices_pages.get(f"/documents/imports/{archive.id}").text

    assert "12 of 40 files" in row
    assert "11 became documents" in row
    assert '<progress max="40" value="12"' in row


def test_an_import_at_its_end_tells_what_it_left_out(alices_pages, alice, serve):
    alices_pages.post("/documents", {"file": an_archive("a.txt")})
    archive = serve(alice.actor, import_of(state="done", total=2, done=2, taken=1, finished_at=timezone.now()))
    serve(
        alice.actor,
        lambda actor: SkippedEntry.objects.create(
            archive=archive, position=1, name="<b>locked.pdf", code="entry_encrypted"
        ),
    )

    page = alices_pages.get("/documents").text

    assert "1 became a document<" in page
    assert "1 file left out" in page
    assert "&lt;b&gt;locked.pdf" in page
    assert "This file is protected with a password." in page


def test_a_failed_import_says_why(alices_pages, alice, serve):
    alices_pages.post("/documents", {"file": an_archive("a.txt")})
    serve(alice.actor, import_of(state="failed", failure_code="archive_too_many", finished_at=timezone.now()))

    page = alices_pages.get("/documents").text

    assert "There are more files in this archive than the hub takes at once." in page
    assert "Split it into smaller archives and upload those." in page


def test_an_import_that_ended_long_ago_is_listed_no_more(alices_pages, alice, serve):
    alices_pages.post("/documents", {"file": an_archive("a.txt")})
    long_ago = timezone.now() - timedelta(days=2)
    serve(alice.actor, import_of(state="done", finished_at=long_ago))

    assert "walrus.zip" not in alices_pages.get("/documents").text


def test_an_address_becomes_a_document_that_waits(alices_pages, alice, serve):
    form = {"url": " https://example.com/walrus.html ", "refresh_hours": "168"}

    response = alices_pages.post("/documents/from-address", form)

    assert (response.status_code, response.url) == (302, "/documents")
    source = serve(alice.actor, lambda actor: Source.objects.get())
    assert (source.url, source.refresh_hours) == ("https://example.com/walrus.html", 168)
    assert "walrus.html" in alices_pages.get("/documents").text


@pytest.mark.parametrize("hours", ["", "7", "nonsense"])
def test_an_address_is_fetched_once_unless_one_of_the_choices_is_sent(alices_pages, alice, serve, hours):
    alices_pages.post("/documents/from-address", {"url": "https://example.com/a", "refresh_hours": hours})

    assert serve(alice.actor, lambda actor: Source.objects.get()).refresh_hours is None


@pytest.mark.parametrize("url", ["", "ftp://example.com/<b>", "https://user:secret@example.com/", "walrus"])
def test_a_refused_address_stays_in_its_field_with_what_to_do(alices_pages, alice, serve, url):
    response = alices_pages.post("/documents/from-address", {"url": url, "refresh_hours": "24"})

    assert response.status_code == 422
    assert "Copy the full address" in response.text
    assert '<option value="24" selected>' in response.text
    assert "<b>" not in response.text
    assert serve(alice.actor, lambda actor: Source.objects.count()) == 0


def test_a_viewer_brings_neither_archive_nor_address(bobs_pages, world):
    assert "From an address" not in bobs_pages.get("/documents").text
    assert bobs_pages.post("/documents", {"file": an_archive("a.txt")}).status_code == 403
    assert bobs_pages.post("/documents/from-address", {"url": "https://example.com/a"}).status_code == 403
