from apps.knowledge.chunking import CAPACITY, cut_into_passages
from apps.knowledge.extraction.sections import Section

SENTENCE = "The refund is paid within thirty days after the goods came back to us in one piece. "


def test_no_passage_leaves_its_page_or_is_too_long():
    sections = [Section(SENTENCE * 40, page=1), Section(SENTENCE * 3, page=2)]

    passages = cut_into_passages(sections)

    assert {passage.page for passage in passages} == {1, 2}
    assert len([passage for passage in passages if passage.page == 2]) == 1
    assert max(passage.tokens for passage in passages) <= CAPACITY[1] + 20
    assert "".join(passages[0].text.split()) in "".join((SENTENCE * 40).split())


def test_passages_say_their_heading_and_keep_every_word():
    words = [f"word{number}" for number in range(2000)]

    passages = cut_into_passages([Section(" ".join(words), heading="Words")])

    assert {passage.heading for passage in passages} == {"Words"}
    assert " ".join(passage.text for passage in passages).split() == words


def test_a_last_crumb_joins_the_passage_before_it():
    passages = cut_into_passages([Section(SENTENCE * 14 + "\n\nThe end.")])

    assert passages[-1].text.endswith("The end.")
    assert len(passages[-1].text) > 80


def test_text_without_a_break_is_cut():
    passages = cut_into_passages([Section("x" * 50_000)])

    assert len(passages) > 50
    assert max(len(passage.text) for passage in passages) < 2000


def test_a_long_text_is_cut_in_blocks_that_end_with_a_word():
    text = ("alpha beta gamma delta epsilon. " * 1500).strip()

    passages = cut_into_passages([Section(text)])

    assert " ".join(passage.text for passage in passages).split() == text.split()


def test_a_long_text_without_spaces_between_short_words_is_cut():
    assert len(cut_into_passages([Section("字" * 20_000)])) > 50


def test_marks_alone_are_no_passage():
    assert cut_into_passages([Section("--- *** ---", page=1)]) == []
