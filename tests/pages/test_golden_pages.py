"""Golden questions on the pages: pinned, read, changed, deleted, run, with and without the script."""

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from apps.knowledge import regression
from apps.knowledge.golden_presentation import rank_words
from apps.knowledge.models import Chunk, Document, GoldenQuestion, GoldenRun
from apps.knowledge.pages import golden
from apps.knowledge.services.documents import delete_document
from tests.isolation.world import build_acme
from tests.pages.test_document_pages import HTMX

LIST = "/golden-questions"


@pytest.fixture
def world(alice):
    return build_acme(alice.actor)


@pytest.fixture
def page_of(world):
    return f"{LIST}/{world.things['golden']}"


@pytest.fixture
def become(alice, serve):
    """Change Alice's one golden question to what runs would have made of it."""

    def change(**fields):
        serve(alice.actor, lambda actor: GoldenQuestion.objects.update(**fields))

    return change


@pytest.fixture
def the_question(alice, serve):
    return lambda: serve(alice.actor, lambda actor: GoldenQuestion.objects.order_by("id").last())


def words(page):
    """What a page says, without its markup's line breaks."""
    return " ".join(page.split())


@pytest.mark.parametrize(
    ("rank", "said"),
    [
        (None, "not found"),
        (1, "first"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (22, "22nd"),
        (33, "33rd"),
        (50, "50th"),
    ],
)
def test_a_rank_in_words(rank, said):
    assert rank_words(rank) == said


def test_without_questions_the_page_says_what_they_are_for(alices_pages, bobs_pages):
    for pages in (alices_pages, bobs_pages):
        page = pages.get(LIST).text
        assert "Which questions must always find their answer?" in page
        assert "Run now" not in page
    assert "Pin a question" in alices_pages.get(LIST).text


def test_the_list_says_what_is_found_and_where(alices_pages, world):
    page = alices_pages.get(LIST).text

    assert "How often is the fjordwhistle tuned?" in page
    assert "Quorvexa handbook" in page
    assert "First</span>" in page
    assert 'data-state="ready">Found' in page
    assert "1</span> question, tried" in words(page)
    assert "because somebody asked for it." in words(page)
    assert 'class="notice"' not in page
    assert 'aria-current="page"' in page.partition("/golden-questions")[2].partition(">")[0]


@pytest.mark.parametrize(
    ("fields", "rank", "warning"),
    [
        ({"rank": 3, "rank_before": 1}, "3rd, was first", ""),
        ({"rank": 2, "rank_before": None}, "2nd, was not found", ""),
        ({"rank": 2, "rank_before": 2}, "2nd</span>", ""),
        ({"rank": None, "rank_before": None}, "Not found</span>", ""),
        ({"rank": 7, "rank_before": 2, "regressed": True}, "7th, was 2nd", "stood among the first 3 results"),
        ({"rank": None, "rank_before": 2, "regressed": True}, "Not found, was 2nd", "do not find it any more"),
        (
            {"rank": None, "rank_before": 1, "regressed": True, "passage_gone": True},
            "Not found, was first",
            "has no such passage any more, so",
        ),
        ({"rank": None, "rank_before": None, "passage_gone": True}, "Not found", "has no such passage any more."),
    ],
)
def test_ranks_and_warnings_are_words(alices_pages, world, page_of, become, fields, rank, warning):
    become(ranked_before_at=timezone.now(), **fields)

    for page in (alices_pages.get(LIST).text, alices_pages.get(page_of).text):
        assert rank in page
        if warning:
            assert warning in page
        else:
            assert 'class="why notice"' not in page


def test_what_is_worse_stands_first_and_is_counted(alices_pages, alice, world, become, serve):
    become(rank=None, rank_before=1, regressed=True)
    alices_pages.post(LIST, {"question": "A newer one", "document": world.things["handbook"]})

    page = alices_pages.get(LIST).text
    assert "1 question finds the right answer no more" in page
    assert page.index("How often is the fjordwhistle tuned?") < page.index("A newer one")
    assert "They will be tried in a moment." in page
    serve(alice.actor, lambda actor: GoldenQuestion.objects.update(regressed=True, ranked_at=timezone.now()))
    assert "2 questions find the right answer no more" in alices_pages.get(LIST).text


def test_a_run_is_said_while_it_is_done_and_when_it_failed(alices_pages, alice, world, serve):
    serve(alice.actor, lambda actor: GoldenRun.objects.update(state="running"))
    assert "They are being tried now." in alices_pages.get(LIST).text

    serve(alice.actor, lambda actor: GoldenRun.objects.update(state="failed"))
    assert "The last run could not be done" in alices_pages.get(LIST).text


def test_a_question_without_its_document_says_so(alices_pages, alice, world, page_of, serve):
    serve(alice.actor, delete_document, document_id=world.things["handbook"])

    for page in (alices_pages.get(LIST).text, alices_pages.get(page_of).text):
        assert "Document deleted" in page
        assert "The document that it expects was deleted." in page
        assert "Quorvexa handbook" in page
        assert 'class="rank' not in page.partition("What runs found")[0]
    assert f"/documents/{world.things['handbook']}" not in alices_pages.get(page_of).text


def test_a_question_is_pinned_by_the_form(alices_pages, world, the_question):
    response = alices_pages.post(LIST, {"question": " Who tunes it? ", "document": world.things["handbook"]})

    assert (response.status_code, response.url) == (302, LIST)
    question = the_question()
    assert (question.question, str(question.document_id)) == ("Who tunes it?", world.things["handbook"])
    assert question.source is None


def test_the_form_offers_documents_that_answer_by_title(alices_pages, bobs_pages, alice, world, serve, monkeypatch):
    def options(pages):
        return pages.get(LIST).text.partition("<select")[2].partition("</select>")[0]

    assert world.things["handbook"] in options(alices_pages)
    assert world.things["draft"] not in options(alices_pages)
    assert options(bobs_pages) == ""
    serve(alice.actor, lambda actor: Document.objects.filter(id=world.things["draft"]).update(live_version=1))
    assert options(alices_pages).index("Quorvexa draft") < options(alices_pages).index("Quorvexa handbook")
    monkeypatch.setattr(golden, "_DOCUMENTS", 1)
    assert options(alices_pages).count("<option") == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"question": ""}, "A question is one line"),
        ({"question": "a\x00b"}, "A question is one line"),
        ({"question": "x" * 501}, "A question is one line"),
        ({"document": ""}, "Choose the document that answers it."),
    ],
)
def test_a_refused_form_keeps_what_was_typed(alices_pages, world, page_of, wrong, said):
    form = {"question": "Who tunes it?", "document": world.things["handbook"], **wrong}
    for address in (LIST, page_of):
        response = alices_pages.post(address, form)

        assert response.status_code == 422
        assert said in response.text
        assert f'value="{form["question"]}"' in response.text
    assert "open>" in alices_pages.post(LIST, form).text


@pytest.mark.parametrize(
    "wrong", [{"document": "nonsense"}, {"passage": "nonsense"}, {"passage": "0" * 32}, {"document": "0" * 32}]
)
def test_what_is_not_there_cannot_be_expected(alices_pages, world, wrong):
    form = {"question": "Who?", "document": world.things["handbook"], **wrong}

    assert alices_pages.post(LIST, form).status_code == 404


def test_too_many_are_refused_with_a_sentence(alices_pages, world, monkeypatch):
    monkeypatch.setenv("GOLDEN_QUESTIONS", "1")
    form = {"question": "Who tunes it?", "document": world.things["handbook"]}

    assert "There is no room for another golden question." in alices_pages.post(LIST, form).text
    refused = alices_pages.post(LIST, form, headers=HTMX)
    assert (refused.status_code, refused.json()["code"]) == (409, "golden_questions_full")


def test_the_right_answer_is_pinned_beside_its_search_result(alices_pages, alice, world, the_question, serve):
    page = alices_pages.get("/search?q=who+tunes+the+fjordwhistle").text
    assert "This is the right answer" in page
    for name, value in (
        ("question", "who tunes the fjordwhistle"),
        ("document", world.things["handbook"]),
        ("passage", world.things["chunk"]),
    ):
        assert f'name="{name}" value="{value}"' in page
    form = {"question": "who tunes the fjordwhistle", "document": world.things["handbook"]}
    form["passage"] = world.things["chunk"]

    part = alices_pages.post(LIST, form, headers=HTMX)

    assert part.status_code == 200
    assert part.text.strip().startswith('<p class="pinned"')
    source = serve(alice.actor, lambda actor: Chunk.objects.get(id=world.things["chunk"]).source)
    assert (the_question().question, the_question().source) == ("who tunes the fjordwhistle", source)
    assert alices_pages.post(LIST, form).url == LIST  # without the script
    assert alices_pages.get(LIST).text.count('class="row question"') == 2


def test_htmx_gets_what_runs_change_alone(alices_pages, world, page_of):
    for address in (LIST, page_of):
        part = alices_pages.get(address, headers=HTMX).text
        assert "<html" not in part
        assert "<input" not in part
        assert "Quorvexa handbook" in part


def test_a_question_shows_what_runs_found(alices_pages, world, page_of):
    page = alices_pages.get(page_of).text

    assert "fjordwhistle is tuned twice a year" in page
    assert "Somebody asked for it · minimodel<" in page
    assert f"/documents/{world.things['handbook']}" in page
    assert "Accept this rank" not in page


def test_a_change_keeps_the_passage_unless_somebody_says_otherwise(alices_pages, world, page_of, the_question):
    handbook, draft = world.things["handbook"], world.things["draft"]

    response = alices_pages.post(page_of, {"question": "Who?", "document": handbook, "was": handbook})
    assert (response.status_code, response.url) == (302, page_of)
    assert (the_question().question, bool(the_question().source)) == ("Who?", True)
    assert "It will be tried in a moment." in alices_pages.get(page_of).text

    alices_pages.post(page_of, {"question": "Who?", "document": handbook, "was": handbook, "whole": "yes"})
    assert (the_question().source, the_question().passage) == (None, "")
    assert "Any passage of this document will do." in alices_pages.get(page_of).text

    alices_pages.post(page_of, {"question": "Who?", "document": draft, "was": handbook})
    assert str(the_question().document_id) == draft
    assert f'<option value="{draft}" selected>' in alices_pages.get(page_of).text


def test_a_worse_rank_is_accepted(alices_pages, world, page_of, become, the_question):
    become(rank=7, rank_before=1, regressed=True)
    assert "Accept this rank" in alices_pages.get(page_of).text

    response = alices_pages.post(f"{page_of}/accept")

    assert (response.status_code, response.url) == (302, page_of)
    assert (the_question().rank, the_question().regressed, the_question().rank_before) == (7, False, None)
    assert "7th</span>" in alices_pages.get(page_of).text


def test_a_question_is_deleted(alices_pages, world, page_of):
    response = alices_pages.post(f"{page_of}/delete")

    assert (response.status_code, response.url) == (302, LIST)
    assert alices_pages.get(page_of).status_code == 404
    assert "Which questions must always" in alices_pages.get(LIST).text


def test_run_now_queues_a_run(alices_pages, alice, world, serve):
    assert alices_pages.post(f"{LIST}/run").url == LIST
    assert "They will be tried in a moment." in alices_pages.get(LIST).text

    run = serve(alice.actor, lambda actor: GoldenRun.objects.get(state="queued"))
    async_to_sync(regression.run)(alice.actor, run.id)
    assert "tried <time" in alices_pages.get(LIST).text


def test_there_is_nothing_to_run_without_questions(alices_pages):
    response = alices_pages.post(f"{LIST}/run")

    assert response.status_code == 409
    assert "There are no golden questions yet." in response.text


def test_a_viewer_reads_and_changes_nothing(bobs_pages, world, page_of, become):
    become(rank=7, rank_before=1, regressed=True)
    for address in (LIST, page_of):
        page = bobs_pages.get(address).text.partition('id="content"')[2]
        assert "fjordwhistle" in page
        assert "<form" not in page
    assert "This is the right answer" not in bobs_pages.get("/search?q=fjordwhistle").text
    form = {"question": "Who?", "document": world.things["handbook"]}
    for address in (LIST, page_of, f"{page_of}/accept", f"{page_of}/delete", f"{LIST}/run"):
        assert bobs_pages.post(address, form).status_code == 403, address


def test_a_question_stays_text(alices_pages, world, page_of):
    hostile = '"><script>alert(1)</script>'
    alices_pages.post(page_of, {"question": hostile, "document": world.things["handbook"]})

    for address in (LIST, page_of):
        page = alices_pages.get(address).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page
