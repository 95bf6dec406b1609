"""A search is several messages. What is changed between two of them is seen, and nothing else is missed for it."""

from itertools import count
from uuid import uuid4

import pytest
from pgvector import HalfVector

from apps.knowledge.hashes import embedder_hash
from apps.knowledge.search import finder, ranking
from apps.knowledge.search.finder import Question, find_passages
from apps.knowledge.search.words import understand
from apps.knowledge.services import corrections
from apps.knowledge.services.documents import delete_document, update_document
from shared.tenancy.reads import follow_in_transaction
from shared.tenancy.scope import creator_scope

pytestmark = pytest.mark.django_db

QUESTIONS = ["morning", '"good morning"', 'morning -"good evening"', '"good morning" -sofas']


@pytest.fixture(autouse=True, params=[0, finder.ALL_ROWS], ids=["asked for the rest", "told how near all are"])
def all_rows(request, monkeypatch):
    monkeypatch.setattr(finder, "ALL_ROWS", request.param)


@pytest.fixture
def greetings(alice, ready):
    """A document of three passages, one of which says good morning."""
    return ready(
        alice, b"# A\n\nCats say good morning.\n\n# B\n\nMorning dogs.\n\n# C\n\nGood evening, morning!", "a.md"
    )


def disturbed(steps, at, change):
    """The same steps; before the message with number `at` something is changed."""
    found = None
    for number in count():
        try:
            message = steps.send(found)
        except StopIteration as end:
            return end.value
        if number == at:
            change()
        found = yield message


@pytest.fixture
def ask_while(alice):
    """What is found when something is changed before one of the messages, and how many of these there are."""

    def call(text, at, change, **where):
        with creator_scope(alice.creator.id):
            understood = follow_in_transaction(understand(text))
            question = Question(text, [1.0] + [0.0] * 383, embedder_hash("words"), **where)
            found = follow_in_transaction(disturbed(find_passages(question, understood), at, change))
            return [hit.text.partition("\n\n")[2] for hit in found.hits]

    return call


@pytest.fixture
def hide(alice, greetings, serve):
    """Hide the passage at a position."""

    def call(position):
        page = serve(alice.actor, corrections.list_passages, document_id=greetings.id)
        about = {"document_id": greetings.id, "chunk_id": page.items[position].id}
        serve(alice.actor, corrections.correct_passage, hidden=True, **about)

    return call


@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.parametrize("at", range(6))
def test_a_passage_is_found_though_another_of_its_document_is_hidden(ask_while, hide, text, at):
    assert "Cats say good morning." in ask_while(text, at, lambda: hide(1))


@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.parametrize("at", range(2))
def test_a_passage_that_is_hidden_meanwhile_is_not_found(ask_while, hide, text, at):
    assert "Cats say good morning." not in ask_while(text, at, lambda: hide(0))


@pytest.fixture
def edit(alice, greetings, serve):
    """Let the first passage say something else."""

    def call():
        page = serve(alice.actor, corrections.list_passages, document_id=greetings.id)
        vector = HalfVector([0.0, 1.0] + [0.0] * 382)
        new = corrections.NewText("# A\n\nNothing at all.", 3, vector, embedder_hash("words"), uuid4())
        about = {"document_id": greetings.id, "chunk_id": page.items[0].id}
        serve(alice.actor, corrections.correct_passage, new=new, **about)

    return call


@pytest.mark.parametrize("at", range(2))
def test_a_passage_that_is_edited_meanwhile_is_not_found_by_what_it_said(ask_while, edit, at):
    found = ask_while("morning", at, edit)

    assert len(found) == 2
    assert not {"Nothing at all.", "Cats say good morning."} & set(found)


@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.parametrize("at", range(5))
def test_a_passage_is_found_though_its_document_is_indexed_anew(alice, ask_while, greetings, serve, text, at):
    def retitle():
        serve(alice.actor, update_document, document_id=greetings.id, title="Another")

    assert "Cats say good morning." in ask_while(text, at, retitle)


@pytest.mark.parametrize("at", range(2))
def test_the_next_best_is_found_when_the_best_is_hidden_meanwhile(ask_while, hide, monkeypatch, at):
    monkeypatch.setattr(finder, "_SPARE", 0)
    monkeypatch.setattr(ranking, "SMOOTHED", 1)
    (best,) = ask_while("morning dogs", -1, None, limit=1)

    found = ask_while("morning dogs", at, lambda: hide(1), limit=1)

    assert best == "Morning dogs."
    assert len(found) == 1
    assert found != [best]


@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.parametrize("at", range(4))
def test_a_document_that_is_deleted_meanwhile_is_not_found(alice, ask_while, greetings, serve, text, at):
    """Asked for in it alone, there is nothing left to count its words in."""

    def delete():
        serve(alice.actor, delete_document, document_id=greetings.id)

    found = ask_while(text, at, delete, document_id=greetings.id)

    # The last message loads the passages; whoever asks after that has been answered.
    assert found == [] or (at >= 3 and "Cats say good morning." in found)
