"""How good a ranking is, as trec_eval and BEIR count it, and how long the slow ones take."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from benchmarks.beir import Grades

NDCG_DEPTH, RECALL_DEPTH = 10, 100


@dataclass(frozen=True, slots=True)
class Quality:
    """Both measures, each the mean over all judged queries, from 0 to 1."""

    ndcg: float
    recall: float


def quality(rankings: Mapping[str, Sequence[str]], grades: Grades) -> Quality:
    """Of rankings by query. A query without a ranking, or without a relevant document, counts as 0."""
    return Quality(
        _mean(ndcg(rankings.get(query, ()), judged) for query, judged in grades.items()),
        _mean(recall(rankings.get(query, ()), judged) for query, judged in grades.items()),
    )


def ndcg(ranking: Sequence[str], judged: Mapping[str, float], depth: int = NDCG_DEPTH) -> float:
    """Normalised discounted cumulative gain: 1 when no other order of the judged documents would gain more.

    A document gains its grade (not 2 to the power of it), divided by log2 of its rank + 1. Documents that nobody
    judged gain nothing, and neither does a grade below 0. Järvelin and Kekäläinen, 2002.
    """
    ideal = _gain(sorted((grade for grade in judged.values() if grade > 0), reverse=True), depth)
    return _gain((max(judged.get(document, 0.0), 0.0) for document in ranking), depth) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], judged: Mapping[str, float], depth: int = RECALL_DEPTH) -> float:
    """The share of the relevant documents that is among the first `depth`."""
    relevant = {document for document, grade in judged.items() if grade > 0}
    return len(relevant.intersection(ranking[:depth])) / len(relevant) if relevant else 0.0


def share_within(values: Sequence[float], share: float) -> float:
    """The smallest of the values that this share of them does not exceed; 0 when there are none."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else 0.0


def _gain(gains: Iterable[float], depth: int) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(islice(gains, depth), 1))


def _mean(values: Iterable[float]) -> float:
    counted = list(values)
    return sum(counted) / len(counted) if counted else 0.0
