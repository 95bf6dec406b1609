"""A search is several messages. What is changed between two of them is seen, and nothing else is missed for it."""

from itertools import count

import pytest

from apps.knowledge.hashes import embedder_hash
from apps.knowledge.search import finder
from apps.knowledge.search.finder import Question, find_passages
from apps.knowledge.search.words import understand
from apps.knowledge.services import corrections
from apps.knowledge.services.documents import delete_document
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


@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.parametrize("at", range(4))
def test_a_document_that_is_deleted_meanwhile_is_not_found(alice, ask_while, greetings, serve, text, at):
    """Asked for in it alone, there is nothing left to count its words in."""

    def delete():
        serve(alice.actor, delete_document, document_id=greetings.id)

    found = ask_while(text, at, delete, document_id=greetings.id)

    # The last message loads the passages; whoever asks after that has been answered.
    assert found == [] or (at >= 3 and "Cats say good morning." in found)
