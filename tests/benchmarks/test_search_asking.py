from collections import Counter

import pytest
from django.db import connection

from apps.accounts.models import Creator
from apps.knowledge.search import finder, statements
from benchmarks import search_rows
from benchmarks.search_asking import (
    MESSAGES,
    Subject,
    Taken,
    TimedReader,
    everything_said,
    make_questions,
    means,
    message_of,
    one_by_one,
    percentile,
    search,
    together,
    vector_recall,
)
from benchmarks.search_corpus import Corpus, make_language
from shared.tenancy.reads import use_reader
from tests.tenancy.tools import connect

LANGUAGE = make_language(2000)


@pytest.fixture
def corpus():
    return Corpus(LANGUAGE, topics=3, seed=1)


@pytest.fixture
def subjects(transactional_db, corpus):
    """Two creators with 300 passages each, about the same."""
    creators = Creator.objects.bulk_create(Creator(display_name=str(number)) for number in range(2))
    told = connection.settings_dict["OWNER"]
    with connect(user=told["USER"], password=told["PASSWORD"], autocommit=True) as owner:
        search_rows.make_temporary(owner)
        with search_rows.above_policies(owner):
            for creator in creators:
                search_rows.make_library(owner, creator.id, corpus, documents=15, passages=20)
    asked = make_questions(corpus, 10)
    return [Subject(creator.id, asked) for creator in creators]


@pytest.fixture
async def timed_reader(transactional_db):
    reader = TimedReader()
    use_reader(reader)
    yield reader
    await reader.close()


async def test_each_message_of_a_search_is_timed_under_its_name(timed_reader, subjects, monkeypatch):
    monkeypatch.setattr(finder, "ALL_ROWS", 0)
    found, understood, taken = await search(subjects[0], subjects[0].questions[0])

    assert len(found.hits) == 10
    assert understood.lexemes
    assert set(taken.messages) == set(MESSAGES) - {"state"}  # the words' message says it of everything
    assert 0 < sum(taken.messages.values()) < taken.whole


async def test_a_small_library_is_searched_exactly(timed_reader, subjects):
    assert await vector_recall(subjects, 20) == 1.0


async def test_the_same_is_said_twice_and_each_creator_says_something_else(timed_reader, subjects):
    one, again, other = [await everything_said(subject) for subject in (subjects[0], *subjects)]

    assert one == again
    assert one != other


async def test_as_many_searches_are_made_as_were_asked_for(timed_reader, subjects):
    assert len(await one_by_one(subjects, 7)) == len(await together(subjects, 7, 3)) == 7


def test_what_a_search_sends_is_known_by_how_it_begins():
    for where in (statements.EVERYWHERE, statements.NARROWED, statements.INSTEAD):
        assert message_of(statements.STATE.format(where=where)) == "state"
        for near in (False, True):
            for every in (False, True):
                assert message_of(statements.candidates(where, near=near, cells=near, every=every)) == "candidates"
    assert message_of(statements.NEARNESS) == "nearness"
    assert message_of(statements.PASSAGES) == "passages"
    assert message_of("SELECT text FROM knowledge_word") == "words"


def test_one_of_ten_questions_is_mistyped(corpus):
    words = set(LANGUAGE)
    asked = make_questions(corpus, 500)

    assert 20 < sum(not words.issuperset(one.text.split()) for one in asked) < 90


def test_what_is_not_spent_waiting_for_postgres_is_python():
    taken = [Taken(10.0, Counter(state=1.0, candidates=5.0)), Taken(20.0, Counter(state=3.0, candidates=7.0))]

    assert means(taken) == {"words": 0, "state": 2, "candidates": 6, "nearness": 0, "passages": 0, "python": 7}
    assert (percentile(taken, 0.5), percentile(taken, 0.95)) == (10.0, 20.0)
