import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.knowledge.search.query import Query, parse, plain


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("two words", Query(("two", "words"), ("two", "words"))),
        ('say "good morning" now', Query(("say", "good", "morning", "now"), ("say", "now"), ("good morning",))),
        ("cats -dogs", Query(("cats",), ("cats",), (), ("dogs",))),
        ('cats -"big dogs"', Query(("cats",), ("cats",), (), ("big dogs",))),
        ("well-known - words", Query(("well-known", "-", "words"), ("well-known", "-", "words"))),
        ("-dogs", Query(("dogs",), ("dogs",))),
        ('-"big dogs"', Query(("big", "dogs"), ("big", "dogs"))),
        ('an inch is 1" long', Query(("an", "inch", "is", "1", "long"), ("an", "inch", "is", "1", "long"))),
        ('"one two" and "three', Query(("one", "two", "and", "three"), ("and", "three"), ("one two",))),
        ('"" "  "', Query((), ())),
        ("", Query((), ())),
    ],
)
def test_a_question_is_read(text, query):
    assert parse(text) == query


@given(st.text(alphabet='ab "-\n', max_size=30))
def test_no_word_is_lost(text):
    query = parse(text)

    said = [word.lstrip("-") for word in text.replace('"', " ").split()]
    heard = [word for part in (*query.words, *query.excluded) for word in part.split()]
    assert sorted(word.lstrip("-") for word in heard if word.strip("-")) == sorted(word for word in said if word)


@given(st.text(alphabet='ab "-\n', max_size=30))
def test_a_text_made_plain_requires_and_excludes_nothing(text):
    query = parse(plain(text))

    assert (query.phrases, query.excluded) == ((), ())
    assert query.loose == query.words
    letters = "".join(query.words)
    assert [letters.count(letter) for letter in "ab"] == [text.count(letter) for letter in "ab"]
