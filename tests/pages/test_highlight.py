"""What a results page marks, and what it shows of a long passage."""

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from apps.knowledge.extraction.language import configuration_of
from apps.knowledge.highlight import excerpt, find_words, mark_words
from tests.knowledge.test_language import TEXTS

LEXEMES = st.frozensets(st.text(max_size=12), max_size=5)


def marked(pieces):
    return [piece.text for piece in pieces if piece.hit]


def joined(pieces):
    return "".join(piece.text for piece in pieces)


def test_words_are_marked_by_their_stems():
    assert marked(mark_words({"hard", "convers"}, "A Hard conversation is hard.", "en")) == [
        "Hard",
        "conversation",
        "hard",
    ]
    assert marked(mark_words({"coach", "stori"}, 'She coached by stories, not "story".', "en")) == [
        "coached",
        "stories",
        "story",
    ]


def test_words_are_stemmed_in_the_language_of_the_text():
    assert marked(mark_words({"buch"}, "Bücher, ein Buch, das Buchs", "de")) == ["Bücher", "Buch", "Buchs"]
    assert marked(mark_words({"buch"}, "Bücher", "en")) == []
    assert marked(mark_words({"книг", "coach"}, "Книги о coaching", "ru")) == ["Книги", "coaching"]
    # No stemmer: words as they are.
    assert marked(mark_words({"książka"}, "Książka, książki", "pl")) == ["Książka"]
    # Too short to tell.
    assert marked(mark_words({"refund"}, "Refunds", "")) == ["Refunds"]


def test_nothing_is_marked_where_nothing_was_looked_for():
    assert mark_words(frozenset(), "Who goes there?", "en")[0].hit is False
    assert find_words(frozenset(), "Who goes there?", "en") == []


@pytest.mark.django_db
@pytest.mark.parametrize("language", TEXTS)
def test_what_postgres_has_found_is_marked(language):
    """Each word of a text by itself, cut as the index cuts it."""
    missed = []
    for word in TEXTS[language].replace(".", " ").split():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT tsvector_to_array(to_tsvector(%s::regconfig, %s))", [configuration_of(language), word]
            )
            (lexemes,) = cursor.fetchone()
        if bool(lexemes) != bool(marked(mark_words(lexemes, word, language))):
            missed.append((word, lexemes))
    assert missed == []


def test_markup_stays_text_and_is_never_cut_into_words_of_its_own():
    pieces = mark_words({"script"}, "<script>alert(1)</script>", "en")

    assert joined(pieces) == "<script>alert(1)</script>"
    assert marked(pieces) == ["script", "script"]


@given(LEXEMES, st.text(max_size=400), st.sampled_from(["en", "de", "ru", "pl", ""]))
def test_pieces_joined_are_the_text(lexemes, text, language):
    assert joined(mark_words({*lexemes, *text.lower().split()}, text, language)) == text


@given(LEXEMES, st.text(max_size=600), st.integers(20, 400))
def test_an_excerpt_is_never_much_longer_than_asked(lexemes, text, length):
    pieces, whole = excerpt({*lexemes, *text.lower().split()}, text, "en", length=length)

    assert len(joined(pieces)) <= length * 1.25 + 4
    assert whole or len(text) > length


def test_an_excerpt_shows_the_part_that_answers():
    text = "Filler words everywhere. " * 60 + "The walrus sings at dawn. " + "Filler words everywhere. " * 60

    pieces, whole = excerpt({"walrus", "sing"}, text, "en")

    assert marked(pieces) == ["walrus", "sings"]
    assert not whole
    assert joined(pieces).startswith("… ")
    assert joined(pieces).endswith(" …")


def test_a_short_passage_is_shown_whole():
    pieces, whole = excerpt({"walrus"}, "The walrus\n\nsings.", "en")

    assert whole
    assert joined(pieces) == "The walrus sings."
