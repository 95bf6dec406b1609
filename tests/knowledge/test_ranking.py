import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.knowledge.search.ranking import K1, B, Postings, bm25, fuse


def postings_of(passages, question):
    entries = [
        (place, number, Counter(words)[word])
        for place, words in enumerate(passages)
        for number, word in enumerate(question)
        if word in words
    ]
    table = np.array(entries, dtype=np.int64).reshape(-1, 3)
    lengths = np.array([len(words) for words in passages], dtype=np.float64)
    return Postings(table[:, 0], table[:, 1], table[:, 2].astype(float), lengths)


def bm25_by_the_book(passages, question):
    average = sum(map(len, passages)) / len(passages)
    scores = []
    for words in passages:
        score = 0.0
        for word in question:
            holders = sum(word in other for other in passages)
            frequency = words.count(word)
            idf = math.log(1 + (len(passages) - holders + 0.5) / (holders + 0.5))
            score += idf * frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * len(words) / average))
        scores.append(score)
    return scores


words = st.sampled_from(["refund", "money", "cat", "sofa", "day"])


@given(
    st.lists(st.lists(words, min_size=1, max_size=12), min_size=1, max_size=8), st.lists(words, unique=True, min_size=1)
)
def test_bm25_is_the_formula(passages, question):
    average = sum(map(len, passages)) / len(passages)

    scores = bm25(postings_of(passages, question), count=len(passages), average_length=average)

    assert scores == pytest.approx(bm25_by_the_book(passages, question))


def test_a_rare_word_counts_more_than_a_common_one():
    passages = [["refund", "the"], ["the", "cat"], ["the", "sofa"]]
    scores = bm25(postings_of(passages, ["the", "refund"]), count=3, average_length=2)

    assert scores[0] > scores[1] == scores[2] > 0


def test_fusion_weighs_both_legs_alike():
    lexical, semantic = np.array([10.0, 0.0, 5.0]), np.array([0.0, 0.1, 0.05])

    assert fuse(lexical, semantic) == pytest.approx([0, 0, 0])
    assert fuse(lexical, lexical) == pytest.approx((lexical - 5) / lexical.std())


def test_a_leg_that_tells_nothing_apart_does_not_count():
    semantic = np.array([0.1, 0.9])

    assert fuse(np.zeros(2), semantic) == pytest.approx([-0.5, 0.5])
    assert len(fuse(np.zeros(0), np.zeros(0))) == 0
