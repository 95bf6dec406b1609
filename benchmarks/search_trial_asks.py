"""Searches of `make search-trial` over the API, and what must be true of each answer whatever goes on meanwhile."""

import random
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx

from benchmarks.search_trial_acts import Known, Shelf
from benchmarks.sheets import Asked, Mark, edit_in, marks_in, name_of, question, second_word

_LIMIT, _MOST_OF_A_DOCUMENT = 100, 3
_PAUSE_SECONDS = 0.02
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Target:
    """A passage that answers, and that a search must find unless something happens to it meanwhile."""

    document: Known
    mark: Mark


def known_of(shelves: Sequence[Shelf], creator: int) -> dict[str, Known]:
    """What is known of a creator's documents at this moment, by id."""
    documents = [one for shelf in shelves if shelf.creator == creator for one in list(shelf.known.values())]
    return {document.id: document.as_it_is() for document in documents}


def choose_target(known: dict[str, Known], chance: random.Random) -> Target | None:
    """A passage of a document that is left alone just now."""
    still = [document for document in known.values() if not (document.busy or document.deleted)]
    if not still:
        return None
    document = chance.choice(still)
    shown = [mark for mark in document.marks() if not (document.spot(mark).hidden or document.spot(mark).busy)]
    return Target(document, chance.choice(shown)) if shown else None


def ask_for(target: Target, chance: random.Random) -> Asked:
    """A question that this passage alone answers: its mark, a phrase, or its document's name half typed."""
    mark = target.mark
    if mark.place == 0 and target.document.spot(mark).edit is None and chance.random() < 0.7:
        return Asked((name_of(mark.creator, mark.document)[:-2],))
    if target.document.spot(mark).edit is None and chance.random() < 0.5:
        return Asked(phrases=(f"{mark} {second_word(mark)}",))
    return Asked((str(mark),), document=target.document.id if chance.random() < 0.3 else None)


def violations(
    asked: Asked, answer: dict[str, Any], creator: int, before: dict[str, Known], after: dict[str, Known]
) -> Iterator[str]:
    """What is wrong with an answer, given what was known when the question was sent and when the answer was there."""
    seen: dict[str, list[Mark]] = {}
    for result in answer["results"]:
        marks = marks_in(result["text"])
        if len(marks) != 1:
            yield f"passage {result['chunk_id']} is {len(marks)} passages: {result['text'][:200]!r}"
            continue
        (mark,) = marks
        seen.setdefault(result["document_id"], []).append(mark)
        if mark.creator != creator:
            yield f"a passage of another creator: {mark}"
        yield from _unlike(asked, result)
        yield from _of_the_past(mark, result, before, after)
    for leg in answer["legs"]["lexical"], answer["legs"]["vector"]:
        named = {one["document_id"] for one in leg}
        gone = [document.id for document in before.values() if document.deleted and document.id in named]
        yield from (f"a leg has document {document}, which was deleted before" for document in gone)
    for document_id, marks_of_it in seen.items():
        yield from _mixed(marks_of_it, after.get(document_id))


def missed(target: Target, answer: dict[str, Any], after: dict[str, Known]) -> bool:
    """Whether a passage is not found by its words, though nobody has touched it since before the question was sent.

    No other has these words. Where it ranks is not asked: fused with meaning, others may come before it.
    """
    then, now = target.document, after.get(target.document.id)
    if now is None or not (now.stayed(then) and now.spot(target.mark).stayed(then.spot(target.mark))):
        return False
    return then.id not in [one["document_id"] for one in answer["legs"]["lexical"]]


def _unlike(asked: Asked, result: dict[str, Any]) -> Iterator[str]:
    """What the question rules out. No title has any of these words."""
    words = [word.lower() for word in _WORD.findall(result["text"])]
    pairs = {f"{one} {other}" for one, other in pairwise(words)}
    holds = {*words, *pairs}
    for phrase in asked.phrases:
        if phrase.lower() not in holds:
            yield f'"{phrase}" is not in {result["text"]!r}'
    for part in asked.excluded:
        if part.lower() in holds:
            yield f"-{part} is in {result['text']!r}"
    if asked.document not in (None, result["document_id"]):
        yield f"document {result['document_id']} is not the one that was asked for"


def _of_the_past(
    mark: Mark, result: dict[str, Any], before: dict[str, Known], after: dict[str, Known]
) -> Iterator[str]:
    document, now = before.get(result["document_id"]), after.get(result["document_id"])
    if document is None or now is None:
        return
    if document.deleted:
        yield f"document {document.id} was deleted before"
    if document.number != mark.document:
        yield f"{mark} is in document {document.id}, which is number {document.number}"
    if document.stayed(now) and mark not in document.marks():
        yield f"{mark} is of a version of {document.id} that did not answer"
    if document.spot(mark).stayed(now.spot(mark)):
        if document.spot(mark).hidden:
            yield f"{mark} of document {document.id} was hidden before"
        if edit_in(result["text"]) != document.spot(mark).edit:
            yield f"{mark} of document {document.id} says what it said before edit {document.spot(mark).edit}"


def _mixed(marks: list[Mark], document: Known | None) -> Iterator[str]:
    if len(marks) > _MOST_OF_A_DOCUMENT:
        yield f"{len(marks)} passages of one document: {marks}"
    found = {mark.place: mark.revision for mark in marks}
    if len(found) < len(marks):
        yield f"a passage twice, or of two versions: {', '.join(map(str, marks))}"
    elif document is not None and not any(found.items() <= content.items() for content in document.sent):
        yield f"passages that no version of {document.id} has together: {', '.join(map(str, marks))}"


def _in_short(answer: dict[str, Any]) -> str:
    first = [(sorted(map(str, marks_in(one["text"]))), one["score"], one["scores"]) for one in answer["results"][:4]]
    counts = len(answer["results"]), len(answer["legs"]["lexical"]), len(answer["legs"]["vector"])
    return f"{counts} results and of each leg, {first}, corrected {answer['corrected']!r}"


class Asker(threading.Thread):
    """Asks one question after the other, as one creator after the other, until `stopping`."""

    def __init__(
        self,
        address: str,
        people: Sequence[dict[str, str]],
        shelves: Sequence[Shelf],
        seed: int,
        stopping: threading.Event,
    ) -> None:
        super().__init__(daemon=True)
        self.client = httpx.Client(base_url=f"{address}/api/v1", trust_env=False, timeout=120)
        self.people, self.shelves, self.stopping = people, shelves, stopping
        self.chance = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        try:
            while not self.stopping.wait(_PAUSE_SECONDS):
                self.ask(self.chance.randrange(len(self.people)))
        except Exception as error:  # a thread that ends in silence would make the trial an easy one
            self.wrong.append(f"an asker: {error!r}")

    def ask(self, creator: int) -> None:
        """One question and what is wrong with its answer."""
        before = known_of(self.shelves, creator)
        target = choose_target(before, self.chance) if self.chance.random() < 0.5 else None
        named = [name_of(creator, document.number) for document in before.values()]
        asked = ask_for(target, self.chance) if target else question(self.chance, named)
        query = {"q": asked.text, "limit": _LIMIT, "group": "passage", "explain": "true"}
        if asked.document:
            query["document_id"] = asked.document
        said = self.client.get("/search", params=query, headers=self.people[creator])
        after = known_of(self.shelves, creator)
        self.counts["searches"] += 1
        if said.status_code == 404 and asked.document and not after[asked.document].stayed(before[asked.document]):
            return
        if said.status_code != 200:
            self._report(asked, creator, f"{said.status_code}: {said.text[:300]}")
            return
        answer = said.json()
        self.counts["results"] += len(answer["results"])
        for violation in violations(asked, answer, creator, before, after):
            self._report(asked, creator, violation)
        if target is not None:
            self.counts["passages looked for"] += 1
            if missed(target, answer, after):
                self._report(asked, creator, f"{target.mark} of {target.document.id} is not found: {_in_short(answer)}")

    def _report(self, asked: Asked, creator: int, what: str) -> None:
        self.wrong.append(f"creator {creator} asked {asked.text!r} {asked}: {what}")
