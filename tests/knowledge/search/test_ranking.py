import math
from collections import Counter
from struct import pack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.knowledge.search.legs import read_candidates
from apps.knowledge.search.postings import ENTRY, LONGEST_ROW, Holders, Places
from apps.knowledge.search.postings import pack as pack_rows
from apps.knowledge.search.ranking import K1, NEIGHBOURS, OWN_SHARE, B, fuse, smooth
from apps.knowledge.search.words import Understood

# Ordinals that are not numbers of passages, so that a test would notice who takes one for the other.
ORDINALS = (7, 3, 12)


def entry(ordinal, position, frequency, length):
    return pack(">IIHH", ordinal, position, frequency, length)


def live_rows(spans, patches=()):
    """What `statements.LIVE` gives: the span of each version by its ordinal, and (patch, position) pairs of some."""
    listed = b"".join(pack(">II", ordinal, span) for ordinal, span in spans.items())
    patched = b"".join(
        pack(f">{2 + 2 * len(pairs)}I", ordinal, len(pairs), *(number for pair in pairs for number in pair))
        for ordinal, pairs in dict(patches).items()
    )
    return pack(">I", len(spans)) + listed + patched


def found_in(versions, question, others=()):
    """What the statement of the legs gives for versions: lists of passages, lists of words. `others` answer no more."""
    live = live_rows({ordinal: len(version) for ordinal, version in zip(ORDINALS, versions, strict=False)})
    passages = [words for version in versions for words in version]
    rows = [("live", None, live, len(passages), sum(map(len, passages))), ("cells", None, None, None, None)]
    for word in question:
        data = b"".join(
            entry(ordinal, position, Counter(words)[word], len(words))
            for ordinal, version in [*zip(ORDINALS, versions, strict=False), *((99, one) for one in others)]
            for position, words in enumerate(version)
            if word in words
        )
        if data:
            rows.append(("posting", word, data, None, None))
    return rows


def scores_of(versions, question, others=()):
    """By ordinal and position."""
    found = read_candidates(found_in(versions, question, others), Understood("", terms=tuple((w,) for w in question)))
    ordinals, positions = found.places.named(np.arange(found.places.count))
    return dict(zip(zip(ordinals.tolist(), positions.tolist(), strict=True), found.words.tolist(), strict=True))


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
passages = st.lists(st.lists(words, min_size=1, max_size=12), min_size=1, max_size=5)


@given(
    st.lists(passages, min_size=1, max_size=3),
    st.lists(words, unique=True, min_size=1),
    st.lists(passages, max_size=2),
)
def test_bm25_is_the_formula_over_the_versions_that_answer(versions, question, others):
    expected = iter(bm25_by_the_book([words for version in versions for words in version], question))

    by_place = {
        (ordinal, position): next(expected)
        for ordinal, version in zip(ORDINALS, versions, strict=False)
        for position in range(len(version))
    }
    assert scores_of(versions, question, others) == pytest.approx(by_place)


def test_a_rare_word_counts_more_than_a_common_one():
    scores = list(scores_of([[["refund", "the"], ["the", "cat"], ["the", "sofa"]]], ["the", "refund"]).values())

    assert scores[0] > scores[1] == scores[2] > 0


def test_words_that_count_as_one_are_counted_together():
    rows = found_in([[["refund", "refunded"], ["refund"], ["cat"]]], ["refund", "refunded"])
    together = read_candidates(rows, Understood("", terms=(("refund", "refunded", "nowhere"),)))

    expected = bm25_by_the_book([["refund", "refund"], ["refund"], ["cat"]], ["refund"])
    assert together.words.tolist() == pytest.approx(expected)


def test_packed_rows_are_full_but_the_last_and_in_order():
    entries = np.frombuffer(b"".join(entry(n % 3, n, 1, 9) for n in range(300)), dtype=ENTRY)

    rows = pack_rows(entries)

    assert [len(row) // ENTRY.itemsize for row in rows] == [LONGEST_ROW, LONGEST_ROW, 300 - 2 * LONGEST_ROW]
    unpacked = np.frombuffer(b"".join(rows), dtype=ENTRY)
    assert sorted(entries.tolist()) == unpacked.tolist()


def test_passages_of_versions_that_are_not_looked_at_have_no_number():
    places = Places.of(live_rows({5: 2, 2: 3}))

    assert places.count == 5
    assert places.numbers([2, 5, 5, 3, 6, 2**31], [2, 0, 1, 0, 0, 0]).tolist() == [2, 3, 4, -1, -1, -1]
    assert [part.tolist() for part in places.named(np.array([0, 2, 3, 4]))] == [[2, 2, 5, 5], [0, 2, 0, 1]]
    assert Places.of(live_rows({})).numbers([0, 1], [0, 0]).tolist() == [-1, -1]
    assert len(Holders.of(b"", places).numbers) == 0


def test_of_a_patched_passage_only_the_patchs_entries_count():
    places = Places.of(live_rows({5: 2, 2: 3}, {2: [(9, 1), (8, 2)]}))
    entries = [(2, 0), (2, 1), (9, 1), (9, 2), (8, 2), (5, 1), (7, 1), (9, 0)]

    counted = places.counted(np.array([one for one, _ in entries]), np.array([one for _, one in entries]))

    assert counted.tolist() == [0, -1, 1, -1, 2, 4, -1, -1]
    # The vectors of a version go by its own ordinal, whatever is patched.
    assert places.numbers([2, 2, 2], [0, 1, 2]).tolist() == [0, 1, 2]
    assert [part.tolist() for part in places.named(np.array([1, 4]))] == [[2, 5], [1, 1]]


def test_a_version_without_passages_is_not_looked_at():
    assert Places.of(live_rows({2: 0, 5: 2})).ordinals.tolist() == [5]


def test_a_patch_may_have_a_lower_or_a_higher_ordinal_than_any_version():
    for patch in (1, 50):
        places = Places.of(live_rows({7: 2}, {7: [(patch, 0)]}))
        assert places.counted(np.array([patch, 7, 7, 60]), np.array([0, 0, 1, 0])).tolist() == [0, -1, 1, -1]


@given(
    st.lists(passages, min_size=1, max_size=3),
    st.lists(words, unique=True, min_size=1),
    st.integers(1, 6),
    st.sets(st.integers(0, 14)),
)
def test_the_best_of_all_and_the_best_of_each_version(versions, question, count, forbidden):
    found = read_candidates(found_in(versions, question), Understood("", terms=tuple((word,) for word in question)))
    allowed = np.array([number not in forbidden for number in range(found.places.count)])
    ranked = sorted(
        (number for number in range(found.places.count) if allowed[number] and found.words[number] > 0),
        key=lambda number: (-found.words[number], number),
    )
    each = list({found.places.versions(np.array([number]))[0]: number for number in reversed(ranked)}.values())

    best, by_version = found.lexical(allowed, count), found.lexical_by_version(allowed, count)

    assert best.numbers.tolist() == ranked[:count]
    assert best.scores.tolist() == [found.words[number] for number in ranked[:count]]
    assert by_version.numbers.tolist() == sorted(each, key=ranked.index)[:count]


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
