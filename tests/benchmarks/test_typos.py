import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.typos import mistype

QUESTION = "how do I prepare a coaching session for 12 people?"


def slips_of(text):
    """Everything that is one slip away: a letter left out, doubled or another, two neighbours swapped."""
    for at in range(len(text)):
        yield text[:at] + text[at + 1 :]
        yield text[:at] + text[at] + text[at:]
        yield text[:at] + text[at : at + 2][::-1] + text[at + 2 :]


def is_one_replacement(one, other):
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) == 1


@given(st.text(), st.integers())
def test_a_query_has_one_slip_when_it_has_a_word_for_it(text, seed):
    mistyped = mistype(f"{text} word", random.Random(seed))

    assert mistyped != f"{text} word"
    assert mistyped in set(slips_of(f"{text} word")) or is_one_replacement(mistyped, f"{text} word")


@pytest.mark.parametrize("text", ["", "a be sea", "12345 6789", "one-two", "a1b2c3d4", "____"])
def test_short_words_and_numbers_stay(text):
    assert mistype(text, random.Random(1)) == text


def test_the_same_seed_makes_the_same_slip():
    assert mistype(QUESTION, random.Random(5)) == mistype(QUESTION, random.Random(5))
    assert len({mistype(QUESTION, random.Random(seed)) for seed in range(50)}) > 20


def test_only_words_of_four_letters_are_touched():
    for seed in range(200):
        words = mistype(QUESTION, random.Random(seed)).split()
        assert [word for word in words if len(word) < 4] == ["how", "do", "I", "a", "for", "12"]


def test_every_kind_of_slip_happens():
    slips = {mistype("word", random.Random(seed)) for seed in range(300)}

    assert {"owrd", "wrod", "wodr"} <= slips
    assert {"ord", "wrd", "wod", "wor"} <= slips
    assert {"wword", "woord", "worrd", "wordd"} <= slips
    assert len([slip for slip in slips if is_one_replacement(slip, "word")]) > 50


@pytest.mark.parametrize("word", ["aaaa", "AaaA", "ÉéÉé"])
def test_letters_that_are_alike_are_not_swapped_or_mistaken_for_each_other(word):
    for seed in range(100):
        assert mistype(word, random.Random(seed)).casefold() != word.casefold()
