"""The page of what people searched for, and the clicks that the search page tells of."""

import re
from uuid import uuid4

import pytest

from apps.knowledge.models import Click, Search
from shared.tenancy.scope import creator_scope
from tests.isolation.world import build_acme

HTMX = {"HX-Request": "true"}


@pytest.fixture
def world(alice):
    """Acme, which has been searched by nobody yet."""
    acme = build_acme(alice.actor)
    with creator_scope(alice.creator.id):
        Search.objects.all().delete()
    return acme


def form_of(page):
    """Where a page of results says what was opened, and what it names: `(url, chunk, document)`."""
    url = re.search(r'<form id="click" method="post" action="([^"]+)"', page)[1]
    chunk, document = re.search(r'data-chunk="([^"]+)" data-document="([^"]+)"', page).groups()
    return url, chunk, document


def sections(page):
    """The page's two lists, as far as they are there."""
    return dict(re.findall(r'aria-labelledby="([\w-]+)">(.*?)</section>', page, re.S))


def test_before_anybody_has_searched_the_page_says_what_will_be_there(alices_pages):
    page = alices_pages.get("/searches").text

    assert "Nobody has searched yet" in page
    assert 'href="/search"' in page
    assert "for 90 days" in page
    assert sections(page) == {}


def test_where_nothing_is_kept_it_says_so(settings, alices_pages):
    settings.SEARCHES_KEPT_DAYS = 0
    alices_pages.get("/search?q=walrus")

    page = alices_pages.get("/searches").text

    assert "Searches are not kept" in page
    assert "walrus" not in page


def test_what_was_asked_in_vain_comes_first_then_everything(alices_pages, bobs_pages, world):
    for q in ("walrus", "fjordwhistle", "WALRUS", "lasagne"):
        bobs_pages.get("/search", {"q": q})

    page = alices_pages.get("/searches").text
    found = sections(page)

    assert list(found) == ["in-vain", "lately"]
    assert re.findall(r'<h3 dir="auto">(.*?)</h3>', found["in-vain"]) == ["WALRUS", "lasagne"]
    assert re.findall(r">(\d+ times?)</span>", found["in-vain"]) == ["2 times", "1 time"]
    assert found["in-vain"].count(">Nothing found<") == 2
    assert re.findall(r'<h3 dir="auto">(.*?)</h3>', found["lately"]) == ["lasagne", "WALRUS", "fjordwhistle", "walrus"]
    assert found["lately"].count("Nothing found") == 3
    assert "1 passage" in found["lately"]


def test_what_is_found_but_never_opened_is_listed_as_that(alices_pages, bobs_pages, world):
    url, chunk, _ = form_of(bobs_pages.get("/search?q=twice").text)
    bobs_pages.post(url, {"chunk_id": chunk})
    for _ in range(3):
        bobs_pages.get("/search?q=fjordwhistle")

    found = sections(alices_pages.get("/searches").text)

    assert re.findall(r'<h3 dir="auto">(.*?)</h3>', found["in-vain"]) == ["fjordwhistle"]
    assert ">Never opened<" in found["in-vain"]
    assert "asked 3 times or more" in found["in-vain"]
    assert "Nothing found" not in found["lately"]


def test_when_everything_was_answered_it_says_so(alices_pages, world):
    alices_pages.get("/search?q=fjordwhistle")

    assert "has found its answer" in sections(alices_pages.get("/searches").text)["in-vain"]


def test_the_navigation_leads_there_and_knows_where_it_is(alices_pages):
    assert '<a href="/searches">' in alices_pages.get("/documents").text
    assert '<a href="/searches" aria-current="page">' in alices_pages.get("/searches").text


def test_earlier_searches_come_in_pages_with_and_without_the_script(alices_pages, world):
    for number in range(35):
        alices_pages.get("/search", {"q": f"question {number}"})

    first = alices_pages.get("/searches").text
    more = re.search(r'href="(\?cursor=[\w-]+)"', first)[1]
    part = alices_pages.get(f"/searches{more}", headers=HTMX).text
    whole = alices_pages.get(f"/searches{more}").text

    queries = re.findall(r'<h3 dir="auto">(question \d+)</h3>', sections(first)["lately"])
    assert len(queries) == 30
    assert "<html" not in part
    for page in (part, whole):
        assert re.findall(r"<h3 dir=\"auto\">(question \d+)</h3>", page) == [f"question {n}" for n in (4, 3, 2, 1, 0)]
    assert 'id="in-vain"' not in whole
    assert "From the newest" in whole


@pytest.mark.parametrize(("cursor", "status"), [("nonsense", 422), ("AAAAAAAAAAAAAAAAAAAAAA", 200)])
def test_a_made_up_cursor_is_refused_and_one_before_everything_says_that_there_is_nothing(alices_pages, cursor, status):
    response = alices_pages.get(f"/searches?cursor={cursor}")

    assert response.status_code == status
    assert ("There are none before these" in response.text) == (status == 200)


def test_what_was_asked_stays_text(alices_pages):
    alices_pages.get("/search", {"q": '"><script>alert(1)</script>'})

    page = alices_pages.get("/searches").text

    assert "<script>alert(1)" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2


def test_another_creator_sees_none_of_it(alices_pages, mallorys_pages, world):
    alices_pages.get("/search?q=walrus")

    page = mallorys_pages.get("/searches").text

    assert "walrus" not in page
    assert "Nobody has searched yet" in page


# ---- Clicks


def test_a_click_on_a_result_is_shown_with_the_document(alices_pages, bobs_pages, world):
    url, chunk, document = form_of(bobs_pages.get("/search?q=fjordwhistle").text)

    for _ in range(2):
        assert bobs_pages.post(url, {"chunk_id": chunk, "document_id": document}).status_code == 204

    lately = sections(alices_pages.get("/searches").text)["lately"]
    assert lately.count("Opened <bdi>Quorvexa handbook</bdi>") == 1


def test_a_page_without_results_has_nothing_to_click(alices_pages, world):
    page = alices_pages.get("/search?q=walrus").text

    assert 'id="click"' not in page
    assert "data-chunk" not in page


@pytest.mark.parametrize("sent", [{}, {"chunk_id": "x"}, {"chunk_id": ""}, {"document_id": "x"}])
def test_a_click_on_nothing_is_refused(alices_pages, world, sent):
    url, *_ = form_of(alices_pages.get("/search?q=fjordwhistle").text)

    assert alices_pages.post(url, sent).status_code == 422


def test_a_foreign_search_and_a_foreign_passage_are_like_none(alices_pages, mallorys_pages, mallory, world):
    url, chunk, _ = form_of(alices_pages.get("/search?q=fjordwhistle").text)
    alices_pages.get("/searches")

    theirs = mallorys_pages.post(url, {"chunk_id": chunk})
    nobodys = mallorys_pages.post(f"/search/{uuid4()}/click", {"chunk_id": str(uuid4())})

    assert theirs.status_code == nobodys.status_code == 404
    with creator_scope(world.creator_id):
        assert not Click.objects.exists()
