"""How Postgres goes about a search, as `hub_app` and under the policies: by indexes, to the creator's own rows.

The messages are those that the hub itself sends, each with the values that it sends.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction

from apps.accounts.models import Creator
from apps.knowledge.models import Chunk, SearchIndex, Version
from apps.knowledge.search import cells, finder
from apps.knowledge.search.finder import Question
from apps.knowledge.services import searching
from benchmarks import search_rows
from benchmarks.search_corpus import Corpus, make_language
from benchmarks.search_rows import MODEL
from shared.tenancy.actor import Actor, Role
from shared.tenancy.reads import SameThreadReader, follow, use_reader
from shared.tenancy.scope import creator_scope
from tests.tenancy.tools import connect

pytestmark = pytest.mark.django_db

DOCUMENTS, PASSAGES, OTHERS, OTHERS_PASSAGES = 40, 20, 30, 4
# Creators who only have an index, so that its table is not read whole for being small.
MANY = 600
# An index may become a level deeper, and a join may be made the other way round.
DEEPER = 2
# What may be looked at and left out: words too short or too long to have been meant, documents without the tag, cells
# too far away, passages without the phrase, versions that do not answer.
LEFT_OUT = re.compile(r"length\(|ANY \(\(tags|before <|@@|live")
CORPUS = Corpus(make_language(2000), topics=5, seed=1)
ASKED = CORPUS.ask()
INDEXES = """
INSERT INTO knowledge_searchindex (creator_id, id, last_ordinal, languages, added, merged, cell_rows)
SELECT creator, gen_random_uuid(), 0, '{}', 0, 0, 0 FROM unnest(%s::uuid[]) AS t(creator)
"""
WORD = max(ASKED.text.split(), key=len)


@dataclass(frozen=True)
class Way:
    """A kind of question, and the indexes without which it cannot be answered."""

    text: str
    indexes: set[str]
    cells: bool = False
    every: bool = False
    narrowed: bool = False
    instead: bool = False
    around: int = 0


WORDS_AND_VECTORS = {"posting_lexeme", "vector_answering"}
WAYS = {
    "everywhere": Way(ASKED.text, {*WORDS_AND_VECTORS, "version_live", "vector_once_per_model", "chunk_position_once"}),
    "in a small library": Way(
        ASKED.text, {*WORDS_AND_VECTORS, "version_live", "vector_once_per_model", "chunk_position_once"}, every=True
    ),
    "narrowed": Way(ASKED.text, {"posting_lexeme"}, narrowed=True),
    "in cells": Way(ASKED.text, {*WORDS_AND_VECTORS, "cell_number_once_per_model"}, cells=True),
    "narrowed, in cells": Way(ASKED.text, {"posting_lexeme", "cell_number_once_per_model"}, cells=True, narrowed=True),
    "a version tried out": Way(ASKED.text, {"posting_lexeme"}, instead=True),
    "a phrase": Way('"{phrase}"', {"posting_lexeme", "chunk_position_once"}),
    "a word excluded": Way(f"{ASKED.text} -{WORD}", WORDS_AND_VECTORS),
    "a half-typed word": Way(f"{ASKED.text} {WORD[:4]}", {*WORDS_AND_VECTORS, "word_once_per_creator"}),
    "a misspelt word": Way(f"{WORD[:2]}{WORD[3]}{WORD[2]}{WORD[4:]}", {"posting_lexeme", "word_once_per_creator"}),
    "with what stands around": Way(ASKED.text, {"chunk_position_once"}, around=1),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture(scope="module")
def owner(django_db_setup: None, django_db_blocker: Any) -> Iterator[psycopg.Connection[Any]]:
    with django_db_blocker.unblock():
        told = connection.settings_dict["OWNER"]
        with connect(user=told["USER"], password=told["PASSWORD"], autocommit=True) as session:
            search_rows.make_temporary(session)
            yield session


@pytest.fixture(scope="module")
def acme_id(owner: psycopg.Connection[Any]) -> Iterator[UUID]:
    """A creator with some hundred passages, beside others with as many together, who are sorted into cells too."""
    names = [Creator(display_name=f"creator {number}") for number in range(OTHERS + MANY + 1)]
    ids = [creator.id for creator in Creator.objects.bulk_create(names)]
    acme, first, *others = ids[: OTHERS + 1]
    try:
        with search_rows.above_policies(owner):
            search_rows.make_library(owner, acme, CORPUS, documents=DOCUMENTS, passages=PASSAGES)
            search_rows.make_library(owner, first, CORPUS, documents=DOCUMENTS, passages=OTHERS_PASSAGES)
            pairs = [(other, first) for other in others]
            search_rows.make_alike(owner, pairs, documents=DOCUMENTS, noise=search_rows.noise_of(0.3))
            owner.execute(INDEXES, [ids[OTHERS + 1 :]])
        for creator in (acme, first, *others):
            sort_into_cells(creator)
        search_rows.settle(owner)
        yield acme
    finally:
        owner.execute("TRUNCATE accounts_creator CASCADE")


def sort_into_cells(creator: UUID) -> None:
    with creator_scope(creator), transaction.atomic():
        sample = cells.read_sample(model=MODEL, rows=PASSAGES * DOCUMENTS)
        cells.begin_cells(SearchIndex.objects.get(), model=MODEL, centres=cells.find_centres(sample))
        cells.finish_cells(SearchIndex.objects.get(), model=MODEL)


class RecordingReader(SameThreadReader):
    def __init__(self) -> None:
        self.messages: list[tuple[str, Any]] = []

    async def __call__(self, sql: str, parameters: Any, sets: int) -> Any:
        self.messages.append((sql, parameters))
        return await super().__call__(sql, parameters, sets)


@contextmanager
def as_if_large(way: Way) -> Iterator[None]:
    """As if there were too many vectors to look at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finder, "EXACT_ROWS", 10 if way.cells else finder.EXACT_ROWS)
        patch.setattr(finder, "BUDGET_ROWS", 100)
        patch.setattr(finder, "ALL_ROWS", finder.ALL_ROWS if way.every else 0)
        yield


def messages_of(creator: UUID, way: Way) -> list[tuple[str, Any]]:
    """What is sent to answer a question in some way; something has to be found."""
    reader = RecordingReader()
    actor = Actor(uuid4(), creator, Role.OWNER)
    with creator_scope(creator):
        instead = Version.objects.order_by("ordinal")[3].id if way.instead else None
        text = way.text.format(phrase=" ".join(Chunk.objects.first().text.split()[1:3]))
    use_reader(reader)
    with as_if_large(way):
        understood = async_to_sync(follow)(actor, lambda: searching.understand(text, None))
        narrowed = "part 3" if way.narrowed else None
        question = Question(text, ASKED.vector, MODEL, tag=narrowed, instead=instead)
        search = lambda: searching.search(question, understood, around=way.around)  # noqa: E731
        found, _ = async_to_sync(follow)(actor, search)
    use_reader(SameThreadReader())
    assert found.hits
    return reader.messages


@dataclass(frozen=True)
class Plan:
    """One statement's, as it was carried out."""

    sql: str
    nodes: list[dict[str, Any]]

    @property
    def pages(self) -> int:
        return sum(self.nodes[0][f"Shared {kind} Blocks"] for kind in ("Hit", "Read"))

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}


def plans_of(creator: UUID, way: Way, *settings: str) -> list[Plan]:
    plans = []
    for sql, parameters in messages_of(creator, way):
        with creator_scope(creator), transaction.atomic(), connection.cursor() as cursor:
            for setting in settings:
                cursor.execute(f"SET LOCAL {setting} = off")
            for statement in sql.split("; "):
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
                plans.append(Plan(statement, list(below(cursor.fetchone()[0][0]["Plan"]))))
    return plans


def below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for one in node.get("Plans", []):
        yield from below(one)


def strays(creator: UUID, plan: Plan) -> list[str]:
    """The parts of a plan that look at rows of others, or might."""
    found = []
    for node in plan.nodes:
        kind, condition = node["Node Type"], node.get("Index Cond", "")
        if "Index Name" in node and f"(creator_id = '{creator}'::uuid)" not in condition:
            found.append(f"{kind} of {node['Index Name']}: {condition}")
        elif "Relation Name" in node and "Index Name" not in node and kind != "Bitmap Heap Scan":
            found.append(f"{kind} of {node['Relation Name']}")
    return found


@every_way
def test_only_the_creators_own_rows_are_looked_at(acme_id, way):
    for plan in plans_of(acme_id, way):
        assert strays(acme_id, plan) == [], plan.sql


@every_way
def test_the_indexes_made_for_it_are_used(acme_id, way):
    used = set().union(*(plan.indexes for plan in plans_of(acme_id, way)))

    assert way.indexes <= used


@every_way
def test_what_is_read_is_what_was_asked_for(acme_id, way):
    for plan in plans_of(acme_id, way):
        for node in plan.nodes:
            removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            meant = LEFT_OUT.search(node.get("Filter", ""))
            assert removed == 0 or meant, (node["Node Type"], node.get("Filter"), plan.sql)


def test_words_are_read_from_the_index_alone(acme_id):
    nodes = [node for plan in plans_of(acme_id, WAYS["everywhere"]) for node in plan.nodes]
    of_postings = [node for node in nodes if node.get("Index Name") == "posting_lexeme"]

    assert {node["Node Type"] for node in of_postings} == {"Index Only Scan"}


def test_only_vectors_of_the_nearest_cells_are_read(acme_id):
    nodes = [node for plan in plans_of(acme_id, WAYS["in cells"]) for node in plan.nodes]
    scans = [node for node in nodes if node.get("Index Name") == "vector_answering"]
    nearest, homeless = sorted(scans, key=lambda node: "cell <" in node["Index Cond"])

    assert "(cell = ANY" in nearest["Index Cond"]
    assert 0 < nearest["Actual Rows"] < DOCUMENTS * PASSAGES / 2
    assert homeless["Actual Rows"] == 0  # a vector whose cell is gone


@pytest.fixture(scope="module")
def grown(acme_id: UUID, owner: psycopg.Connection[Any]) -> dict[str, tuple[list[Plan], list[Plan]]]:
    """Plans before and after another creator has come to twenty times as many passages as Acme's, and like them."""

    def plans() -> dict[str, list[Plan]]:
        return {name: plans_of(acme_id, way) for name, way in WAYS.items()}

    plans()  # the first time, pages of the catalogue are among those read
    before = plans()
    with search_rows.above_policies(owner):
        ((other,),) = owner.execute("SELECT max(creator_id::text)::uuid FROM knowledge_document").fetchall()
        noise = search_rows.noise_of(0.05)
        search_rows.add_copies(owner, other, acme_id, copies=20, documents=DOCUMENTS, noise=noise)
    search_rows.settle(owner)
    plans()
    after = plans()
    return {name: (before[name], after[name]) for name in WAYS}


@pytest.mark.parametrize("name", WAYS)
def test_what_others_have_makes_no_search_read_more(acme_id, grown, name):
    before, after = grown[name]

    assert sum(plan.pages for plan in after) <= sum(plan.pages for plan in before) * DEEPER
    assert [strays(acme_id, plan) for plan in after] == [[]] * len(before)


def test_the_rules_notice_a_table_that_is_read_whole(acme_id):
    without = [f"enable_{kind}" for kind in ("indexscan", "indexonlyscan", "bitmapscan")]
    found = [stray for plan in plans_of(acme_id, WAYS["everywhere"], *without) for stray in strays(acme_id, plan)]

    for table in ("version", "posting", "vector", "chunk", "document", "searchindex"):
        assert f"Seq Scan of knowledge_{table}" in found
