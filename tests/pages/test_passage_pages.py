"""The passages of a document: read, put right, hidden, with and without the script."""

import pytest

from apps.knowledge.media_types import EPUB, PPTX, TEXT, VTT, XLSX
from apps.knowledge.models import Chunk, Version
from apps.knowledge.presentation import count_places, place_of
from tests.isolation.world import build_acme
from tests.pages.test_document_pages import HTMX


@pytest.fixture
def world(alice):
    return build_acme(alice.actor)


@pytest.fixture
def passages(world):
    return f"/documents/{world.things['handbook']}/passages"


@pytest.fixture
def passage(world, passages):
    return f"{passages}/{world.things['chunk']}"


@pytest.mark.parametrize(
    ("media_type", "page", "seconds", "said"),
    [
        (PPTX, 3, None, "Slide 3"),
        (XLSX, 2, None, "Sheet 2"),
        (EPUB, 4, None, "Chapter 4"),
        (TEXT, None, None, ""),
        (VTT, None, 0, "0:00"),
        (VTT, None, 754, "12:34"),
        (VTT, None, 3725, "1:02:05"),
    ],
)
def test_a_place_is_named_as_its_format_does(media_type, page, seconds, said):
    assert place_of(media_type, page, seconds) == said


def test_places_are_counted_as_the_format_does():
    assert count_places(PPTX, 12) == "12 slides"
    assert count_places(EPUB, 1) == "1 chapter"


def test_the_passages_are_read_with_their_places(alices_pages, alice, serve, passages):
    serve(alice.actor, lambda actor: Version.objects.update(media_type=PPTX))

    page = alices_pages.get(passages).text

    assert "fjordwhistle is tuned twice a year" in page
    assert "Slide 1" in page
    assert "Ombrackett" in page


def test_a_search_result_names_the_slide(alices_pages, alice, serve, world):
    serve(alice.actor, lambda actor: Version.objects.update(media_type=PPTX))

    assert "Slide 1" in alices_pages.get("/search?q=fjordwhistle").text


def test_a_passage_is_put_right_and_found_by_its_new_words(alices_pages, passages, passage):
    response = alices_pages.post(passage, {"do": "save", "text": "The kazoo is tuned\r\nonce a year."})

    assert response.status_code == 302
    assert response.url == f"{passages}#passage-{passage.rpartition('/')[2]}"
    page = alices_pages.get(passages).text
    assert "The kazoo is tuned\nonce a year." in page
    assert "Edited" in page
    assert "<mark>kazoo</mark>" in alices_pages.get("/search?q=kazoo").text


def test_the_original_comes_back(alices_pages, passages, passage):
    alices_pages.post(passage, {"do": "save", "text": "Nothing of it is left."})

    alices_pages.post(passage, {"do": "original", "text": "Nothing of it is left, and more."})

    page = alices_pages.get(passages).text
    assert "fjordwhistle is tuned twice a year" in page
    assert "Back to the original" not in page


def test_a_hidden_passage_is_shown_here_and_found_nowhere_until_it_is_shown_again(alices_pages, passages, passage):
    alices_pages.post(passage, {"do": "hide", "text": "This text is not saved."})

    hidden = alices_pages.get(passages).text
    assert "Hidden from searches" in hidden
    assert "fjordwhistle is tuned twice a year" in hidden
    assert "Nothing found" in alices_pages.get("/search?q=fjordwhistle").text

    alices_pages.post(passage, {"do": "show"})
    assert "<mark>fjordwhistle</mark>" in alices_pages.get("/search?q=fjordwhistle").text


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 4001, "a\x00b"])
def test_a_refused_text_changes_nothing_and_stays_in_its_field(alices_pages, alice, serve, passage, text):
    response = alices_pages.post(passage, {"do": "save", "text": text})

    assert response.status_code == 422
    assert "A passage has between 1 and 4000 characters" in response.text
    assert "fjordwhistle is tuned" in response.text
    if text.strip():
        assert text in response.text
    assert not serve(alice.actor, lambda actor: Chunk.objects.get()).edited


def test_the_script_gets_the_passage_alone(alices_pages, passage):
    part = alices_pages.post(passage, {"do": "save", "text": "The kazoo hums.", "after": "0"}, headers=HTMX)

    assert part.status_code == 200
    assert part.text.strip().startswith('<li class="passage card"')
    assert "The kazoo hums." in part.text
    assert 'name="after" value="0"' in part.text
    assert "<html" not in part.text


def test_the_script_is_told_why_a_text_is_refused(alices_pages, passage):
    response = alices_pages.post(passage, {"do": "save", "text": ""}, headers=HTMX)

    assert response.status_code == 422
    assert "between 1 and 4000" in response.json()["detail"]


def test_many_passages_come_page_by_page_and_a_change_leads_back_to_its_own(
    alices_pages, alice, serve, passages, passage, monkeypatch
):
    monkeypatch.setattr("apps.knowledge.pages.passages.PASSAGES", 1)

    def add(actor):
        first = Chunk.objects.get()
        common = {"document_id": first.document_id, "version_id": first.version_id, "tokens": 3, "source": first.source}
        return Chunk.objects.create(position=2, occurrence=1, text="The second one.", **common)

    second = serve(alice.actor, add)

    assert "The second one." not in alices_pages.get(passages).text
    assert f"{passages}?after=1" in alices_pages.get(passages).text
    page = alices_pages.get(f"{passages}?after=1").text
    assert "The second one." in page
    assert "From the beginning" in page
    assert "fjordwhistle" not in page
    response = alices_pages.post(f"{passages}/{second.id}", {"do": "hide", "after": "1"})
    assert response.url == f"{passages}?after=1#passage-{second.id}"


@pytest.mark.parametrize("after", ["", "x", "-1", "²", "9" * 30])
def test_a_position_that_is_none_is_the_beginning(alices_pages, passages, after):
    assert "fjordwhistle" in alices_pages.get(passages, {"after": after}).text


def test_past_the_last_passage_is_said(alices_pages, passages):
    assert "No more passages" in alices_pages.get(f"{passages}?after=99").text


def test_a_document_that_does_not_answer_yet_has_none(alices_pages, world):
    assert "No passages yet" in alices_pages.get(f"/documents/{world.things['draft']}/passages").text


def test_a_passage_of_another_document_is_none(alices_pages, world):
    path = f"/documents/{world.things['draft']}/passages/{world.things['chunk']}"

    assert alices_pages.post(path, {"do": "hide"}).status_code == 404
    assert alices_pages.post(path, {"do": "hide"}, headers=HTMX).status_code == 404


def test_a_viewer_reads_passages_and_changes_none(bobs_pages, passages, passage):
    page = bobs_pages.get(passages).text

    assert "fjordwhistle" in page
    assert "<textarea" not in page
    assert bobs_pages.post(passage, {"do": "hide"}).status_code == 403
