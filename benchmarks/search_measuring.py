"""What `search_scale` measures, on a database of its own: python -m benchmarks.search_measuring OWNER_URL OPTIONS."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.config.env_constants import use_settings

use_settings()

import django  # noqa: E402

django.setup()

import psycopg  # noqa: E402

from apps.accounts.models import Creator  # noqa: E402
from apps.knowledge.indexing import sort_vectors  # noqa: E402
from benchmarks import search_rows  # noqa: E402
from benchmarks.search_asking import (  # noqa: E402
    MESSAGES,
    Subject,
    Taken,
    TimedReader,
    everything_said,
    make_questions,
    means,
    one_by_one,
    percentile,
    together,
    vector_recall,
)
from benchmarks.search_corpus import Corpus, make_language  # noqa: E402
from benchmarks.stage import machine, mark  # noqa: E402
from shared.tenancy.reads import close_reads, use_reader  # noqa: E402

LARGE_RECALL, SMALL_RECALL = 0.97, 1.0
ASKERS = 8
# Documents and their passages, of the large creator and of a small one.
_LARGE_DOCUMENT, _DOCUMENTS, _SMALL_DOCUMENT = 100, 50, 20
_SMALL = _DOCUMENTS * _SMALL_DOCUMENT
_LARGE_TOPICS, _SMALL_TOPICS = 500, 10
# Small libraries are made anew so many times; the others have their words, and vectors near theirs.
_TEMPLATES = 4
_ALIKE, _COPIED = 0.3, 0.05
# Of the small creators so many are asked.
_ASKED_CREATORS = 50
_EXACT_QUESTIONS = 100
# How often copies are put beside a small creator, and taken away again in between.
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Ground:
    """The creators there are."""

    large: Subject
    small: list[Subject]
    # Whose passages are copied, whose library gets the copies, and who has nothing to do with them.
    copied: Subject
    copier: UUID
    control: Subject


def main() -> None:
    """Make, measure and say."""
    owner_url, wanted = sys.argv[1], json.loads(sys.argv[2])
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("SET work_mem = '512MB'")
        print(json.dumps(machine()), flush=True)
        ground = make_ground(owner, **wanted)
        failures = asyncio.run(_measure(owner, ground, **wanted))
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(bool(failures))


def make_ground(owner: Any, *, creators: int, passages: int, questions: int, **_: Any) -> Ground:
    """Make the libraries: a large one, a few small ones, and many like these."""
    names = [Creator(display_name=mark(number)) for number in range(1, creators + 2)]
    ids = [creator.id for creator in Creator.objects.bulk_create(names)]
    language = make_language()
    large = Corpus(language, topics=_LARGE_TOPICS, seed=1)
    corpora = [Corpus(language, topics=_SMALL_TOPICS, seed=2 + number) for number in range(_TEMPLATES)]
    templates, others = ids[1 : _TEMPLATES + 1], ids[_TEMPLATES + 1 :]
    search_rows.make_temporary(owner)
    with _said("rows"), search_rows.above_policies(owner):
        documents = max(passages // _LARGE_DOCUMENT, 1)
        search_rows.make_library(owner, ids[0], large, documents=documents, passages=_LARGE_DOCUMENT)
        for one, corpus in zip(templates, corpora, strict=True):
            search_rows.make_library(owner, one, corpus, documents=_DOCUMENTS, passages=_SMALL_DOCUMENT)
        alike = [(one, templates[number % _TEMPLATES]) for number, one in enumerate(others)]
        search_rows.make_alike(owner, alike, documents=_DOCUMENTS, noise=search_rows.noise_of(_ALIKE))
        search_rows.settle(owner)
    asked = [make_questions(corpus, questions) for corpus in corpora]
    small = [Subject(one, asked[number % _TEMPLATES]) for number, one in enumerate(others)]
    # The copies are others' texts than the control's, so whoever read them would be slower for one of the two only.
    return Ground(
        Subject(ids[0], make_questions(large, questions)), small[3:][:_ASKED_CREATORS], small[0], others[1], small[2]
    )


async def _measure(owner: Any, ground: Ground, *, passages: int, copies: int, questions: int, **_: Any) -> list[str]:
    use_reader(TimedReader())
    try:
        with _said("cells"):
            await sort_vectors(ground.large.actor, search_rows.MODEL)
            search_rows.settle(owner)
        size = owner.execute("SELECT pg_database_size(current_database())").fetchone()[0]
        print(f"{size / 1e9:.1f} GB\n")
        await _measure_times(f"{passages:,} passages", [ground.large], questions)
        await _measure_times(f"{_SMALL:,} passages", ground.small, questions)
        failures = []
        count = min(questions, _EXACT_QUESTIONS)
        for name, subjects, goal in (("large", [ground.large], LARGE_RECALL), ("small", ground.small, SMALL_RECALL)):
            share = await vector_recall(subjects, count)
            print(f"recall@10 of the vectors, {name} creator: {share:.4f} (goal {goal})")
            if share < goal:
                failures.append(f"the {name} creator's vectors are found too seldom")
        return failures + await _measure_copies(owner, ground, copies, questions)
    finally:
        await close_reads()


async def _measure_times(name: str, subjects: list[Subject], count: int) -> None:
    await one_by_one(subjects, count)  # warms up: caches, connections, and each connection's catalogue
    await together(subjects, count, ASKERS)
    alone, crowded = await one_by_one(subjects, count), await together(subjects, count, ASKERS)
    print(f"| ms | p50 | p95 | {' | '.join(MESSAGES)} | python |")
    for label, taken in ((name, alone), (f"{name}, {ASKERS} at once", crowded)):
        parts = " | ".join(f"{value:.1f}" for value in means(taken).values())
        print(f"| {label} | {percentile(taken, 0.5):.1f} | {percentile(taken, 0.95):.1f} | {parts} |")
    print(f"p95 {ASKERS} at once over alone: {percentile(crowded, 0.95) / percentile(alone, 0.95):.1f}\n", flush=True)


async def _measure_copies(owner: Any, ground: Ground, copies: int, questions: int) -> list[str]:
    """Ask a small creator without and with near-copies of its passages in another's library, and again.

    A machine has faster and slower minutes, so the control is asked in turn, and one's times are told by the other's.
    """
    repeated = max(copies // _SMALL, 1)
    noise = search_rows.noise_of(_COPIED)
    pair = [ground.copied, ground.control]
    without: list[list[Taken]] = []
    with_copies: list[list[Taken]] = []
    said: list[Any] = []
    for turn in range(_ROUNDS):
        if turn:
            with search_rows.above_policies(owner):
                search_rows.remove_copies(owner, ground.copier, documents=_DOCUMENTS)
                search_rows.settle(owner)
        without.append(await _asked(pair, questions))
        said.append(await everything_said(ground.copied))
        with _said(f"{repeated * _SMALL:,} near-copies"), search_rows.above_policies(owner):
            search_rows.add_copies(
                owner, ground.copier, ground.copied.creator, copies=repeated, documents=_DOCUMENTS, noise=noise
            )
            search_rows.settle(owner)
        with_copies.append(await _asked(pair, questions))
        said.append(await everything_said(ground.copied))
    print("a small creator's times over those of one whose passages nobody copies:")
    for share in (0.5, 0.95):
        before, after = ([_ratio(one, share) for one in rounds] for rounds in (without, with_copies))
        print(f"p{share * 100:.0f} without copies {', '.join(before)}; with them {', '.join(after)}")
    same = all(one == said[0] for one in said)
    print(f"its answers, scores and counts with them: {'the same' if same else 'others'}")
    return [] if same else ["a small creator's answers depend on another's library"]


async def _asked(pair: list[Subject], count: int) -> list[Taken]:
    """Both in turn, each so often, when they have warmed up."""
    await one_by_one(pair, count)
    return await one_by_one(pair, count * 4)


def _ratio(taken: Sequence[Taken], share: float) -> str:
    """The first one's times over the other's."""
    return f"{percentile(taken[::2], share) / percentile(taken[1::2], share):.2f}"


@contextmanager
def _said(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"{what}: made in {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
