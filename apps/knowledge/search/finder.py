"""Find passages: by their words and by their meaning, then by both together. See docs/search.md for how and why."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np

from apps.knowledge.embedding import Vectors, vector_text
from apps.knowledge.errors import SearchInterrupted
from apps.knowledge.search import legs, ranking, statements
from apps.knowledge.search.index import CONFIGURATION_NAMES
from apps.knowledge.search.legs import Candidates, Leg, Mask, Ranked
from apps.knowledge.search.ranking import Floats, Integers
from apps.knowledge.search.words import Phrase, Understood, understand
from shared.tenancy.reads import Rows, Steps, follow_in_transaction
from shared.tenancy.scope import require_creator

# Candidates of each leg; fusion needs both scores of all of them.
CANDIDATES = 200
PER_DOCUMENT = 3
# When each document is to be found once, so many of the nearest passages are looked at for each candidate.
PASSAGES_A_DOCUMENT = 5
# Without a word in common, a passage must be at least this near. Measured on Cranfield: 99 of 100 unrelated pairs lie
# below 0.18, and 93 of 100 relevant ones above this.
NEAR_ENOUGH = 0.2
# Every vector is looked at where there are no more; else about so many, in the nearest cells.
EXACT_ROWS, BUDGET_ROWS = 20_000, 20_000
# Where there are no more passages, one message says how near each of them is.
ALL_ROWS = 4000
# Passages looked at for a phrase at a time.
_PHRASE_ROWS = 1000
# How often a search begins anew when what it reads changes under it.
_ATTEMPTS = 4
# Loaded besides those wanted, should some be hidden or deleted meanwhile.
_SPARE = 10


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and where to look. `vector` is what `model` makes of the meaning.

    `since` (included) and `until` (not included) are about when a document was brought. `by_document`: each document
    once, with the passage that speaks for it. `instead` makes a version answer for its document before it is live;
    it goes with none of the others. `explain` has `Found` say what each leg alone would have answered.
    """

    text: str
    vector: Vectors
    model: UUID
    limit: int = 10
    tag: str | None = None
    document_id: UUID | None = None
    language: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    instead: UUID | None = None
    by_document: bool = False
    explain: bool = False

    @property
    def where(self) -> str:
        """Which of the creator's versions are looked at."""
        if self.instead is not None:
            return statements.INSTEAD
        wanted = (self.tag, self.document_id, self.language, self.since, self.until)
        return statements.EVERYWHERE if all(one is None for one in wanted) else statements.NARROWED

    @property
    def most_of_a_document(self) -> int:
        """How many of its passages are found."""
        return 1 if self.by_document else PER_DOCUMENT


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that answers. A higher score is better; scores of different questions cannot be compared.

    `lexical` and `vector` are the scores of the legs: 0 has none of the words, None is too far away to be compared.
    """

    chunk_id: UUID
    document_id: UUID
    version_id: UUID
    position: int
    title: str
    text: str
    page: int | None
    heading: str
    seconds: int | None
    media_type: str
    language: str
    score: float
    lexical: float = 0.0
    vector: float = 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one leg alone thinks of a passage, and how it ranks there."""

    document_id: UUID
    chunk_id: UUID
    score: float
    rank: int


@dataclass(frozen=True, slots=True)
class Found:
    """The answer, best first, and what each leg alone would have answered where that was asked for."""

    hits: list[Hit]
    lexical: list[Candidate] = field(default_factory=list)
    vector: list[Candidate] = field(default_factory=list)


def find_passages(question: Question, understood: Understood) -> Steps[Found]:
    """The best passages, at most three of one document, best first. See `Steps` for how it is run.

    Raises `SearchInterrupted` when what it reads changes under it each time it begins.
    """
    standing = understood.standing if question.where == statements.EVERYWHERE else None
    for _ in range(_ATTEMPTS):
        with suppress(_Moved):
            return (yield from _Search(question, understood).run(standing))
        standing = None
    raise SearchInterrupted


def find_passages_now(question: Question) -> Found:
    """The same inside a service's transaction."""
    understood = follow_in_transaction(understand(question.text))
    return follow_in_transaction(find_passages(question, understood))


class _Moved(Exception):
    """An edit, a switch or a deletion went on between two steps of a search, and it has to see it."""


class _Search:
    """One attempt. `run` raises `_Moved` when there has to be another."""

    def __init__(self, question: Question, understood: Understood) -> None:
        self.question, self.understood = question, understood
        self.values: dict[str, Any] = {
            "creator": require_creator(),
            "tag": question.tag,
            "document": question.document_id,
            "language": question.language,
            "since": question.since,
            "until": question.until,
            "instead": question.instead,
            "model": question.model,
            "vector": vector_text(question.vector),
            "lexemes": understood.lexemes,
            "candidates": CANDIDATES * (PASSAGES_A_DOCUMENT if question.by_document or understood.excluded else 1),
        }

    def run(self, standing: tuple[UUID | None, int] | None) -> Steps[Found]:
        if standing is None:
            ((standing,),) = yield [(statements.STATE.format(where=self.question.where), self.values)]
        cell_model, passages = standing
        if not passages:
            return Found([])
        # A phrase says which passages are in question, so these are measured and no others.
        by_meaning = not self.understood.required
        sorted_ones = cell_model == self.question.model and self.question.instead is None
        cells = by_meaning and sorted_ones and passages > EXACT_ROWS
        self.all_near = by_meaning and not cells and passages <= ALL_ROWS
        sql = statements.candidates(self.question.where, near=by_meaning, cells=cells, every=self.all_near)
        self.values["budget"] = BUDGET_ROWS * (1 if self.question.where == statements.EVERYWHERE else 2)
        (rows,) = yield [(sql, self.values)]
        found = legs.read_candidates(rows, self.understood)
        if cells and found.cell_model != str(self.question.model):
            raise _Moved  # they are being made anew
        lexical, near = yield from self._allowed(found)
        numbers = np.union1d(lexical.numbers, near.numbers)
        vector = yield from self._nearness(found, numbers)
        ranked = legs.rank(
            numbers,
            found.words[numbers],
            vector,
            found.places,
            near_enough=NEAR_ENOUGH,
            by_document=self.question.by_document,
        )
        return (yield from self._answer(found, ranked, lexical, near))

    def _allowed(self, found: Candidates) -> Steps[tuple[Leg, Leg]]:
        """The candidates of both legs, without what the question rules out."""
        allowed = np.ones(found.places.count, dtype=np.bool_)
        for phrase in self.understood.excluded:
            out = np.flatnonzero(found.holding(phrase))
            allowed[out if len(phrase.groups) == 1 else (yield from self._holding_phrase(found, out, phrase))] = False
        for phrase in self.understood.required:
            allowed &= found.holding(phrase)
        if any(len(phrase.groups) > 1 for phrase in self.understood.required):
            allowed = yield from self._with_phrases(found, allowed)
        near = found.near.allowed(allowed)
        if not self.question.by_document:
            return found.lexical(allowed, CANDIDATES), Leg.best(near.numbers, near.scores, CANDIDATES)
        leaders = Leg.sorted(near.numbers, near.scores).best_of_each(found.places)
        return found.lexical_by_version(allowed, CANDIDATES), leaders.first(CANDIDATES)

    def _with_phrases(self, found: Candidates, allowed: Mask) -> Steps[Mask]:
        """The best passages that hold each phrase word for word: looked at best first, until there are enough."""
        lexical = found.lexical(allowed, found.places.count).numbers
        wanted = CANDIDATES * (PASSAGES_A_DOCUMENT if self.question.by_document else 1)
        holding = np.zeros(found.places.count, dtype=np.bool_)
        for start in range(0, len(lexical), _PHRASE_ROWS):
            numbers = lexical[start : start + _PHRASE_ROWS]
            for phrase in self.understood.required:
                if len(phrase.groups) > 1:
                    numbers = yield from self._holding_phrase(found, numbers, phrase)
            holding[numbers] = True
            if np.count_nonzero(holding) >= wanted:
                break
        return holding

    def _holding_phrase(self, found: Candidates, numbers: Integers, phrase: Phrase) -> Steps[Integers]:
        if not len(numbers):
            return numbers
        values = {**self._named(found, numbers), "phrase": phrase.text, "configurations": CONFIGURATION_NAMES}
        # In one message: a passage whose version is indexed anew is there no more, and would look like one without.
        there = self._there(found, numbers)
        rows, ((count,),) = yield [(statements.HOLD_PHRASE, values), (statements.THERE, there)]
        if count < len(there["versions"]):
            raise _Moved
        return _numbers(found, rows)

    def _nearness(self, found: Candidates, numbers: Integers) -> Steps[Floats]:
        """How near each passage is."""
        of_all = np.full(found.places.count, -np.inf)
        of_all[found.near.numbers] = found.near.scores
        vector = of_all[numbers]
        unknown = numbers[np.isneginf(vector)]
        if len(unknown) and not self.all_near:
            values = {**self._named(found, unknown), "model": self.question.model, "vector": self.values["vector"]}
            (rows,) = yield [(statements.NEARNESS, values)]
            vector[np.searchsorted(numbers, _numbers(found, rows))] = [row[2] for row in rows]
            if len(rows) < len(unknown):
                yield from self._require_unmoved(found, unknown)
        # A passage that this model has not seen yet is as far away as one that has nothing to do with the question.
        vector[np.isneginf(vector)] = 0.0
        return vector

    def _require_unmoved(self, found: Candidates, numbers: Integers) -> Steps[None]:
        """Raise `_Moved` unless the versions that these passages belong to are all there as they were."""
        there = self._there(found, numbers)
        ((count,),) = (yield [(statements.THERE, there)])[0]
        if count < len(there["versions"]):
            raise _Moved

    def _there(self, found: Candidates, numbers: Integers) -> dict[str, Any]:
        """The versions that passages belong to, as they were."""
        versions = np.unique(found.places.named(numbers)[0]).tolist()
        patches = [found.places.patches.get(ordinal, b"") for ordinal in versions]
        return {"creator": self.values["creator"], "versions": versions, "patches": patches}

    def _answer(self, found: Candidates, ranked: Ranked, lexical: Leg, near: Leg) -> Steps[Found]:
        """Load the best passages, and let the very best vouch for each other."""
        limit, most, places = self.question.limit, self.question.most_of_a_document, found.places
        first = ranked.numbers[: ranking.SMOOTHED].tolist()
        likely = ranked.numbers[legs.at_most(ranked, places, most, limit + _SPARE)].tolist()
        both = [*lexical.numbers[:limit].tolist(), *near.numbers[:limit].tolist()] if self.question.explain else []
        wanted = np.array(list(dict.fromkeys([*first, *likely, *both])), dtype=np.int64)
        if not len(wanted):
            return Found([])
        values = {
            **self._named(found, wanted),
            "first": [place < len(first) for place in range(len(wanted))],
            "model": self.question.model,
        }
        (loaded,) = yield [(statements.PASSAGES, values)]
        if any(row[-2] != found.places.patches.get(row[0], b"") for row in loaded):
            raise _Moved
        if len(loaded) < len(wanted):
            yield from self._require_unmoved(found, wanted)
        numbers = _numbers(found, loaded).tolist()
        passages = dict(zip(numbers, (row[1:-2] for row in loaded), strict=True))
        smooth = _smoothed(ranked, {number: row[-1] for number, row in zip(numbers, loaded, strict=True) if row[-1]})
        answer = [(place, int(smooth.numbers[place])) for place in legs.at_most(smooth, places, most, limit + _SPARE)]
        hits = [_hit(passages[number], smooth, place) for place, number in answer if number in passages][:limit]
        if not self.question.explain:
            return Found(hits)
        return Found(hits, _explained(lexical.first(limit), passages), _explained(near.first(limit), passages))

    def _named(self, found: Candidates, numbers: Integers) -> dict[str, Any]:
        ordinals, positions = found.places.named(numbers)
        return {"creator": self.values["creator"], "ordinals": ordinals.tolist(), "positions": positions.tolist()}


def _numbers(found: Candidates, rows: Rows) -> Integers:
    """The numbers of the passages that rows begin with: ordinal, position."""
    return found.places.numbers([row[0] for row in rows], [row[1] for row in rows])


def _smoothed(ranked: Ranked, vectors: dict[int, bytes]) -> Ranked:
    first = ranked.numbers[: ranking.SMOOTHED].tolist()
    # As `halfvec_send` writes it: how many numbers, two bytes that mean nothing, and the numbers. No vector: zeros.
    size = max(map(len, vectors.values()), default=4)
    packed = b"".join([vectors.get(number) or bytes(size) for number in first])
    table = np.frombuffer(packed, dtype=">f2").reshape(len(first), size // 2)[:, 2:].astype(np.float32)
    nearness = (table @ table.T).astype(np.float64)
    np.fill_diagonal(nearness, 0.0)
    scores = ranking.smooth(ranked.scores, nearness)
    return ranked.reordered(np.lexsort((np.arange(len(scores)), -scores)), scores)


def _hit(row: Any, ranked: Ranked, place: int) -> Hit:
    position, chunk_id, document_id, version_id, *rest = row
    scores = (ranked.scores[place], ranked.lexical[place], ranked.vector[place])
    return Hit(chunk_id, document_id, version_id, position, *rest, *(round(float(score), 4) for score in scores))


def _explained(leg: Leg, passages: dict[int, Any]) -> list[Candidate]:
    known = zip(leg.numbers.tolist(), leg.scores.tolist(), strict=True)
    rows = [(passages[number], score) for number, score in known if number in passages]
    return [Candidate(row[2], row[1], round(score, 4), rank) for rank, (row, score) in enumerate(rows, start=1)]
