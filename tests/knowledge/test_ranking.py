import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.knowledge.search.ranking import K1, NEIGHBOURS, OWN_SHARE, B, Postings, bm25, fuse, smooth


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


def smoothed_by_the_book(scores, nearness):
    count = len(nearness)
    low, high = scores[count - 1], scores[0]
    own = [(score - low) / (high - low) for score in scores[:count]]
    mixed = []
    for one in range(count):
        near = sorted((-nearness[one][other], other) for other in range(count))[: min(NEIGHBOURS, count - 1)]
        weights = [(max(0.0, -value), other) for value, other in near]
        total = sum(weight for weight, _ in weights)
        around = sum(weight * own[other] for weight, other in weights) / total if total else own[one]
        mixed.append(low + (OWN_SHARE * own[one] + (1 - OWN_SHARE) * around) * (high - low))
    return [*mixed, *scores[count:]]


@given(st.integers(2, 9), st.integers(0, 3), st.integers(0, 2**31))
def test_smoothing_is_the_formula(count, rest, seed):
    dice = np.random.default_rng(seed)
    scores = np.sort(dice.normal(size=count + rest))[::-1]
    nearness = dice.uniform(-0.5, 1, (count, count))
    np.fill_diagonal(nearness, 0)

    assert smooth(scores, nearness) == pytest.approx(smoothed_by_the_book(list(scores), nearness.tolist()))


def test_one_among_good_ones_comes_before_one_alone():
    scores = np.array([1.0, 0.5, 0.5, 0.0])
    nearness = np.array([[0, 0, 0.9, 0], [0, 0, 0, 0.9], [0.9, 0, 0, 0], [0, 0.9, 0, 0]], dtype=float)

    smoothed = smooth(scores, nearness)

    assert smoothed[2] > scores[2] == scores[1] > smoothed[1]


@pytest.mark.parametrize("scores", [[], [0.3], [0.3, 0.3, 0.3]])
def test_where_nothing_stands_out_smoothing_changes_nothing(scores):
    nearness = np.full((len(scores), len(scores)), 0.5)

    assert smooth(np.array(scores), nearness) == pytest.approx(scores)
