"""`manage.py search_models`: every creator's state in a line, and the switch for one or for all."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.knowledge.models import LETTERS, WORDS, answering, fill

pytestmark = pytest.mark.django_db


@pytest.fixture
def both(alice, mallory, ready, next_model):
    """Two creators with a document each; the next model has seen Alice's only."""
    ready(alice, b"Refunds are paid.")
    ready(mallory, b"Refunds of Mallory's.")
    fill(alice)


def said(*arguments):
    out = StringIO()
    call_command("search_models", *arguments, stdout=out)
    return out.getvalue()


def test_it_lists_the_models_and_every_creators_state(alice, mallory, both):
    lines = said().splitlines()

    assert lines[:2] == [f"{WORDS}  words", f"{LETTERS}  letters"]
    assert f"{alice.creator.id}  words: 1/1 answers, letters: 1/1" in lines
    assert f"{mallory.creator.id}  words: 1/1 answers, letters: 0/1" in lines
    assert "models.internal" not in "".join(lines)


def test_it_switches_one_and_back(client, alice, mallory, both):
    assert "letters: 1/1 answers" in said("--creator", str(alice.creator.id), "--switch-to", "letters")

    assert (answering(client, alice), answering(client, mallory)) == ("letters", "words")
    said("--creator", str(alice.creator.id), "--switch-to", str(WORDS))
    assert answering(client, alice) == "words"


def test_it_switches_all_that_are_ready_and_says_how_many_are_not(client, alice, mallory, both):
    with pytest.raises(CommandError, match="1 not switched"):
        said("--switch-to", "letters")
    assert (answering(client, alice), answering(client, mallory)) == ("letters", "words")

    fill(mallory)
    said("--switch-to", "letters")
    assert answering(client, mallory) == "letters"


def test_what_does_not_exist_is_refused(both):
    with pytest.raises(CommandError, match="No model numbers"):
        said("--switch-to", "numbers")
    with pytest.raises(CommandError, match="There is no creator"):
        said("--creator", str(WORDS))
