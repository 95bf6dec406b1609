"""The formulas of search, on plain arrays. Values were measured on two public collections: see docs/search.md."""

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]

K1 = 1.5  # how soon repetitions of a word stop counting
B = 0.75  # how much longer passages are held back
LEXICAL_WEIGHT, VECTOR_WEIGHT = 0.5, 0.5
# Neighbours in meaning vouch for each other: of the best so many, each score is mixed with those of its nearest few.
SMOOTHED, NEIGHBOURS, OWN_SHARE = 30, 5, 0.6


def bm25_gain(frequencies: Floats, lengths: Floats, *, holders: int, count: int, average_length: float) -> Floats:
    """What one word adds to the score of each passage that has it: Okapi BM25 (Robertson & Zaragoza 2009).

    `frequencies` and `lengths` (in words) are of these passages; `holders` is how many have the word, of `count`
    searched, which are `average_length` words long. The idf is Lucene's, never below 0.
    """
    idf = np.log1p((count - holders + 0.5) / (holders + 0.5))
    damping = K1 * (1 - B + B * lengths / max(average_length, 1e-9))
    gain: Floats = idf * frequencies * (K1 + 1) / (frequencies + damping)
    return gain


def fuse(lexical: Floats, semantic: Floats) -> Floats:
    """The mean of both legs' z-scores, over passages that have both. A leg that tells nothing apart counts 0."""
    return LEXICAL_WEIGHT * _z_scores(lexical) + VECTOR_WEIGHT * _z_scores(semantic)


def smooth(scores: Floats, nearness: Floats) -> Floats:
    """Scores, best first, of which the first few lean towards those of their nearest neighbours among them.

    `nearness` is the cosine of each pair of the first `SMOOTHED`, 0 of one with itself; negative ones count as none.
    A passage that answers is seldom alone: its neighbours answer too. The first stay before the rest.
    """
    count = min(len(scores), len(nearness))
    if count < 2:
        return scores
    head = scores[:count]
    spread = head[0] - head[-1]
    if spread <= 1e-12:
        return scores
    own = (head - head[-1]) / spread
    order = np.argsort(-nearness, axis=1, kind="stable")[:, : min(NEIGHBOURS, count - 1)]
    weights = np.maximum(np.take_along_axis(nearness, order, axis=1), 0.0)
    total = weights.sum(axis=1)
    around = np.where(total > 1e-12, (weights * own[order]).sum(axis=1) / np.maximum(total, 1e-12), own)
    mixed = OWN_SHARE * own + (1 - OWN_SHARE) * around
    return np.concatenate([head[-1] + mixed * spread, scores[count:]])


def _z_scores(scores: Floats) -> Floats:
    if not len(scores):
        return scores
    spread = scores.std()
    return (scores - scores.mean()) / spread if spread > 1e-12 else np.zeros_like(scores)
