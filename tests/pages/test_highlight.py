"""What a results page marks, and what it shows of a long passage."""

from hypothesis import given
from hypothesis import strategies as st

from apps.knowledge.highlight import excerpt, mark_words


def marked(pieces):
    return [piece.text for piece in pieces if piece.hit]


def joined(pieces):
    return "".join(piece.text for piece in pieces)


def test_the_words_of_the_question_are_marked():
    assert marked(mark_words("hard conversations", "A Hard conversation is hard.")) == ["Hard", "conversation", "hard"]


def test_other_forms_of_a_word_are_marked():
    assert marked(mark_words("coaching stories", "She coached by story.")) == ["coached", "story"]
    assert marked(mark_words("cancel runs", "Cancelled while running")) == ["Cancelled", "running"]


def test_small_words_are_not_marked_unless_nothing_else_was_asked():
    assert marked(mark_words("what is the aim", "The aim is what counts.")) == ["aim"]
    assert marked(mark_words("who", "Who goes there?")) == ["Who"]


def test_markup_stays_text_and_is_never_cut_into_words_of_its_own():
    pieces = mark_words("script", "<script>alert(1)</script>")

    assert joined(pieces) == "<script>alert(1)</script>"
    assert marked(pieces) == ["script", "script"]


def test_words_of_other_languages_are_marked():
    assert marked(mark_words("Gesprächsführung", "Die GESPRÄCHSFÜHRUNG lernen")) == ["GESPRÄCHSFÜHRUNG"]


@given(st.text(max_size=40), st.text(max_size=400))
def test_pieces_joined_are_the_text(query, text):
    assert joined(mark_words(query, text)) == text


@given(st.text(max_size=40), st.text(max_size=600), st.integers(20, 400))
def test_an_excerpt_is_never_much_longer_than_asked(query, text, length):
    pieces, whole = excerpt(query, text, length=length)

    assert len(joined(pieces)) <= length * 1.25 + 4
    assert whole or len(text) > length


def test_an_excerpt_shows_the_part_that_answers():
    text = "Filler words everywhere. " * 60 + "The walrus sings at dawn. " + "Filler words everywhere. " * 60

    pieces, whole = excerpt("when does the walrus sing", text)

    assert marked(pieces) == ["walrus", "sings"]
    assert not whole
    assert joined(pieces).startswith("… ")
    assert joined(pieces).endswith(" …")


def test_a_short_passage_is_shown_whole():
    pieces, whole = excerpt("walrus", "The walrus\n\nsings.")

    assert whole
    assert joined(pieces) == "The walrus sings."
