"""The search page."""

import pytest

from tests.isolation.world import build_acme

HTMX = {"HX-Request": "true"}


@pytest.fixture
def world(alice):
    return build_acme(alice.actor)


def test_before_a_question_the_page_explains(alices_pages):
    assert "What would you like to find?" in alices_pages.get("/search").text


def test_a_passage_is_found_with_its_place_and_its_words_marked(alices_pages, world):
    page = alices_pages.get("/search?q=who+tunes+the+fjordwhistle").text

    assert "<mark>fjordwhistle</mark>" in page
    assert "Page 1" in page
    assert "Ombrackett" in page
    assert f"/documents/{world.things['handbook']}" in page
    assert " ms</p>" in page.replace("</span>", "")


def test_the_heading_is_not_said_twice(alices_pages, world):
    page = alices_pages.get("/search?q=fjordwhistle").text

    assert page.count("Ombrackett") == 1


def test_htmx_gets_the_results_alone(alices_pages, world):
    part = alices_pages.get("/search?q=fjordwhistle", headers=HTMX).text

    assert "<html" not in part
    assert "<mark>fjordwhistle</mark>" in part


def test_nothing_found_is_said(alices_pages):
    assert "Nothing found" in alices_pages.get("/search?q=walrus").text


def test_the_question_stays_text(alices_pages):
    page = alices_pages.get("/search", {"q": '"><script>alert(1)</script>'}).text

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_searching_in_one_document_names_it(alices_pages, world):
    page = alices_pages.get(f"/search?q=fjordwhistle&document={world.things['handbook']}").text

    assert "Only in" in page
    assert "Quorvexa handbook" in page


@pytest.mark.parametrize("asked", ["handbook", "nonsense"])
def test_a_foreign_document_is_like_none(mallorys_pages, world, asked):
    response = mallorys_pages.get("/search", {"q": "fjordwhistle", "document": world.things.get(asked, asked)})

    assert response.status_code == 404
    assert not world.words_in(response.text.replace("fjordwhistle", ""))


def test_another_creator_finds_nothing(mallorys_pages, world):
    page = mallorys_pages.get("/search?q=fjordwhistle").text

    assert "Nothing found" in page


def test_a_question_too_long_is_cut(alices_pages, world):
    assert alices_pages.get("/search", {"q": "fjordwhistle " * 500}).status_code == 200


def test_a_misspelt_question_is_answered_and_the_page_says_as_what(alices_pages, world):
    page = alices_pages.get("/search?q=fjordwhisle").text

    assert "Showing what <strong><bdi>fjordwhistle</bdi></strong> finds" in page
    assert "<mark>fjordwhistle</mark>" in page
    assert "Showing what" not in alices_pages.get("/search?q=fjordwhistle").text


def test_while_one_types_the_page_suggests(alices_pages, world):
    options = alices_pages.get("/search/suggest?q=who+tunes+the+fjord", headers=HTMX).text

    assert options.strip() == '<option value="who tunes the fjordwhistle"></option>'
    assert alices_pages.get("/search/suggest?q=").text.strip() == ""
    assert alices_pages.get("/search/suggest").text.strip() == ""
