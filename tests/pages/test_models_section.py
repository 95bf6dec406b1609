"""The embedding models on the page of golden questions: for owner and admins, where there is more than one."""

import pytest

from apps.knowledge import embedding
from tests.knowledge.conftest import bring, process, ready  # noqa: F401 (fixtures)
from tests.knowledge.golden import pinned, run_all
from tests.knowledge.models import LETTERS, WORDS, Letters, WordEmbedder, answering, do_trials, fill, try_model

pytestmark = pytest.mark.django_db
PAGE = "/golden-questions"


@pytest.fixture
def two_models(monkeypatch):
    monkeypatch.setattr(embedding, "_embedder", WordEmbedder())
    monkeypatch.setattr(embedding, "_next_embedder", Letters())


@pytest.fixture
def question(client, alice, two_models, ready):  # noqa: F811
    document = ready(alice, b"Refunds are paid.", "shop.md")
    made = pinned(client, alice, "when are refunds paid", document)
    run_all(alice)
    return made


def shown(pages):
    answer = pages.get(PAGE)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_model_that_is_being_built_shows_how_far_it_is(alices_pages, question):
    page = shown(alices_pages)

    assert "Embedding models" in page
    assert "Being built" in page
    assert '<progress max="1" value="0"' in page
    assert "Switch to it" not in page
    assert "models.internal" not in page


def test_one_that_is_ready_shows_what_it_would_find_and_can_be_switched_to(client, alice, alices_pages, question):
    fill(alice)
    do_trials(alice)

    page = shown(alices_pages)
    assert "Of your golden questions, 1 would stand as now." in page
    assert "With letters" in page
    answer = alices_pages.post(f"/search/models/{LETTERS}/choose")

    assert (answer.status_code, answer.headers["Location"]) == (302, PAGE)
    assert answering(client, alice) == "letters"
    assert f'id="choose-{WORDS}"' in shown(alices_pages)


def test_a_comparison_is_asked_for(alice, alices_pages, question):
    assert alices_pages.post(f"/search/models/{LETTERS}/try").status_code == 302
    assert "will be tried with it in a moment" in shown(alices_pages)


def test_a_switch_that_is_too_early_says_why(alices_pages, question):
    answer = alices_pages.post(f"/search/models/{LETTERS}/choose")

    assert answer.status_code == 409
    assert "This model has not seen all passages yet." in answer.content.decode()


def test_members_without_the_right_see_nothing_of_it_and_switch_nothing(client, alice, bobs_pages, question):
    fill(alice)

    assert "Embedding models" not in shown(bobs_pages)
    assert bobs_pages.post(f"/search/models/{LETTERS}/choose").status_code == 403
    assert answering(client, alice) == "words"


def test_where_there_is_one_model_nothing_is_said(alices_pages, question, monkeypatch):
    monkeypatch.setattr(embedding, "_next_embedder", None)

    assert "Embedding models" not in shown(alices_pages)


def test_a_question_in_a_comparison_stays_text(client, alice, alices_pages, question, ready):  # noqa: F811
    document = ready(alice, b"Cats sleep.", "cats.md")
    pinned(client, alice, "<script>alert(1)</script>", document)
    fill(alice)
    try_model(client, alice, LETTERS)
    do_trials(alice)

    assert "<script>alert" not in shown(alices_pages)
