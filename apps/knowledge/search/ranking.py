"""The formulas of search, on plain arrays. Values were measured on two public collections."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]

K1 = 1.5  # how soon repetitions of a word stop counting
B = 0.75  # how much longer passages are held back
# Neighbours in meaning vouch for each other: of the best so many, each score is mixed with those of its nearest few.
SMOOTHED, NEIGHBOURS, OWN_SHARE = 30, 5, 0.6


@dataclass(frozen=True, slots=True)
class Postings:
    """Which passage holds which word how often: three arrays of one length, and the passages' lengths in words."""

    passage: Integers
    lexeme: Integers
    frequency: Floats
    lengths: Floats


def bm25(postings: Postings, *, count: int, average_length: float) -> Floats:
    """Okapi BM25 of each passage in `postings.lengths` (Robertson & Zaragoza 2009), idf as in Lucene, never below 0.

    `count` and `average_length` are of all passages searched, those without a match included.
    """
    if not len(postings.passage):
        return np.zeros(len(postings.lengths))
    holders = np.bincount(postings.lexeme)
    idf = np.log1p((count - holders + 0.5) / (holders + 0.5))
    relative = postings.lengths / max(average_length, 1e-9)
    damping = K1 * (1 - B + B * relative[postings.passage])
    gain = postings.frequency * (K1 + 1) / (postings.frequency + damping)
    return np.bincount(postings.passage, idf[postings.lexeme] * gain, minlength=len(postings.lengths))


def fuse(lexical: Floats, semantic: Floats) -> Floats:
    """The mean of both legs' z-scores, over passages that have both. A leg that tells nothing apart counts 0."""
    return 0.5 * _z_scores(lexical) + 0.5 * _z_scores(semantic)


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
