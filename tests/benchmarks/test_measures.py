"""The measures against sums worked out by hand: log2(2) = 1, log2(3) = 1.58496, log2(4) = 2."""

import math

import pytest

from benchmarks.measures import ndcg, quality, recall, share_within


def test_the_best_order_gains_everything():
    assert ndcg(["a", "b", "c"], {"a": 3, "b": 2, "c": 1}) == pytest.approx(1.0)


def test_a_grade_is_gained_as_it_is():
    """2/1 + 3/1.58496 = 3.89279 of 3/1 + 2/1.58496 = 4.26186. Powers of two would give 0.834."""
    assert ndcg(["b", "a"], {"a": 3, "b": 2}) == pytest.approx(0.91340, abs=1e-5)


def test_what_nobody_judged_takes_its_rank():
    assert ndcg(["x", "y", "a"], {"a": 1}) == pytest.approx(1 / 2)


def test_equal_grades_may_come_in_any_order():
    judged = {"a": 2, "b": 2, "c": 1}

    assert ndcg(["a", "b", "c"], judged) == ndcg(["b", "a", "c"], judged) == pytest.approx(1.0)


def test_what_is_missing_still_counts_in_the_ideal():
    """1/1 of 1/1 + 1/1.58496 = 1.63093."""
    assert ndcg(["a"], {"a": 1, "b": 1}) == pytest.approx(0.61315, abs=1e-5)


def test_more_than_ten_relevant_documents_fill_ten_places():
    judged = dict.fromkeys(map(str, range(25)), 1)

    assert ndcg([str(place) for place in range(10)], judged) == pytest.approx(1.0)
    assert ndcg([*map(str, range(5)), *"abcde", *map(str, range(5, 25))], judged) == pytest.approx(
        sum(1 / math.log2(rank + 1) for rank in range(1, 6)) / sum(1 / math.log2(rank + 1) for rank in range(1, 11))
    )


def test_the_eleventh_place_gains_nothing():
    assert ndcg([*"0123456789", "a"], {"a": 1}) == 0.0
    assert ndcg([*"012345678", "a"], {"a": 1}) == pytest.approx(1 / math.log2(11))


@pytest.mark.parametrize("ranking", [[], ["x", "y"]])
def test_no_relevant_document_found_is_zero(ranking):
    assert ndcg(ranking, {"a": 1}) == recall(ranking, {"a": 1}) == 0.0


@pytest.mark.parametrize("judged", [{}, {"a": 0}, {"a": -1}])
def test_a_query_that_nothing_answers_is_zero(judged):
    assert ndcg(["a"], judged) == recall(["a"], judged) == 0.0


def test_a_grade_below_zero_takes_nothing_away():
    assert ndcg(["bad", "a"], {"bad": -2, "a": 1}) == pytest.approx(1 / math.log2(3))


def test_recall_is_the_share_of_the_relevant():
    judged = {"a": 3, "b": 1, "c": 1, "d": 1, "not": 0}

    assert recall(["a", "not", "x", "b"], judged) == 0.5


def test_recall_looks_at_a_hundred():
    ranking = [str(place) for place in range(99)] + ["a", "b"]

    assert recall(ranking, {"a": 1, "b": 1}) == 0.5


def test_quality_is_the_mean_over_all_judged_queries():
    """The first is perfect, the second found nothing, the third was never asked, the fourth cannot be answered."""
    grades = {"1": {"a": 1}, "2": {"b": 1}, "3": {"c": 1}, "4": {"d": 0}}

    found = quality({"1": ["a"], "2": ["x"], "4": ["d"]}, grades)

    assert (found.ndcg, found.recall) == (0.25, 0.25)


def test_no_query_has_no_quality():
    found = quality({}, {})

    assert (found.ndcg, found.recall) == (0.0, 0.0)


@pytest.mark.parametrize(("share", "value"), [(0.5, 10), (0.95, 19), (1.0, 20), (0.0, 1)])
def test_a_share_of_the_values_is_not_above(share, value):
    assert share_within(range(20, 0, -1), share) == value


def test_of_no_values_the_share_is_zero():
    assert share_within([], 0.95) == 0.0
