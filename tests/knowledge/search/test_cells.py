"""Cells: what is near is found without a look at every vector, and nothing is missed while they are made."""

from uuid import uuid4

import numpy as np
import pytest
from asgiref.sync import async_to_sync

from apps.knowledge import indexing
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.models import Cell, Chunk, SearchIndex, Vector
from apps.knowledge.search import cells, finder, statements
from apps.knowledge.search.cells import Sample, find_centres
from apps.knowledge.services import indexes
from shared.tenancy.run import run_as
from shared.tenancy.scope import creator_scope

pytestmark = pytest.mark.django_db

MODEL = embedder_hash("words")


@pytest.fixture
def library(alice, ready, monkeypatch):
    """Forty passages of four subjects, more than are looked at without cells."""
    monkeypatch.setattr(finder, "EXACT_ROWS", 10)
    monkeypatch.setattr(cells, "EXACT_ROWS", 10)
    subjects = ("refunds money payment", "cats sofas sleep", "zeppelins hydrogen sky", "bread flour oven")
    for number, subject in enumerate(subjects):
        text = "\n\n".join(f"# Part {n}\n\n{subject} {subject} word{number}x{n}" for n in range(10))
        ready(alice, text.encode(), f"{number}.md")
    return subjects


def sort(person):
    async_to_sync(indexing.sort_vectors)(person.actor, MODEL)


def serve(person, service, **arguments):
    return async_to_sync(run_as)(person.actor, service, **arguments)


def nearest(ask, person, q):
    return [one["chunk_id"] for one in ask(person, q, limit=10, explain=True)["legs"]["vector"]]


def test_each_vector_is_in_the_cell_whose_centre_is_nearest(alice, library):
    sort(alice)

    with creator_scope(alice.creator.id):
        index = SearchIndex.objects.get()
        assert (index.cell_model, index.cell_rows) == (MODEL, 40)
        made = list(Cell.objects.order_by("number"))
        centres = np.array([cell.centre for cell in made], dtype=np.float32)
        members = {cell.number: 0 for cell in made}
        for vector in Vector.objects.all():
            closest = np.argmax(centres @ np.array(vector.embedding, dtype=np.float32))
            assert vector.cell == made[closest].number
            members[vector.cell] += 1
    assert len(made) == 13
    assert {cell.number: cell.size for cell in made} == members


@pytest.mark.parametrize("how", [{}, {"group": "document"}, {"from": "2020-01-01"}])
def test_a_small_library_is_answered_as_a_larger_one_would_be(ask, alice, library, monkeypatch, how):
    """Whether it is said at once how near all passages are, or asked for those that only the words have found."""
    monkeypatch.setattr(finder, "CANDIDATES", 3)
    asked = [f"{one} {other}" for one in library for other in library]
    before = [ask(alice, text, **how) for text in asked]

    monkeypatch.setattr(finder, "ALL_ROWS", 0)
    after = [ask(alice, text, **how) for text in asked]

    assert [answer["results"] for answer in after] == [answer["results"] for answer in before]
    assert all(answer["results"] for answer in before)


def test_what_is_found_in_the_nearest_cells_is_what_is_found_everywhere(ask, alice, library, monkeypatch):
    before = [nearest(ask, alice, subject) for subject in library]
    sort(alice)
    monkeypatch.setattr(finder, "BUDGET_ROWS", 12)

    assert [nearest(ask, alice, subject) for subject in library] == before


def test_no_more_cells_are_looked_at_than_the_budget_allows(ask, alice, library, monkeypatch):
    sort(alice)
    monkeypatch.setattr(finder, "BUDGET_ROWS", 1)

    found = nearest(ask, alice, library[0])

    with creator_scope(alice.creator.id):
        largest = max(Cell.objects.values_list("size", flat=True))
    assert 0 < len(found) <= largest < 40


def test_narrowed_to_what_is_small_every_vector_is_looked_at(ask, client, alice, library, ready, monkeypatch):
    sort(alice)
    monkeypatch.setattr(finder, "BUDGET_ROWS", 1)
    document = ready(alice, b"# A\n\nbread\n\n# B\n\ncats\n\n# C\n\nsky", "small.md")

    legs = ask(alice, "bread", document_id=str(document.id), explain=True)["legs"]

    assert len(legs["vector"]) == 3


def test_narrowed_to_what_is_large_the_cells_are_looked_at(ask, alice, library, monkeypatch):
    sort(alice)
    seen, candidates = [], statements.candidates

    def noted(where, **how):
        seen.append((where, how))
        return candidates(where, **how)

    monkeypatch.setattr(statements, "candidates", noted)

    hits = ask(alice, library[1], **{"from": "2020-01-01"})["results"]

    assert seen == [(statements.NARROWED, {"near": True, "cells": True, "every": False})]
    assert "cats" in hits[0]["text"]


def test_without_vectors_there_are_no_cells(alice, library):
    async_to_sync(indexing.sort_vectors)(alice.actor, uuid4())

    with creator_scope(alice.creator.id):
        assert not Cell.objects.exists()


def test_many_vectors_are_compared_some_at_a_time(monkeypatch):
    generator = np.random.default_rng(1)
    vectors, centres = generator.normal(size=(40, 8)), generator.normal(size=(6, 8))
    monkeypatch.setattr(cells, "_COMPARED_AT_ONCE", 7)

    assert cells._nearest(vectors, centres).tolist() == np.argmax(vectors @ centres.T, axis=1).tolist()


def test_a_phrase_is_found_whatever_the_cells_are(ask, alice, library):
    sort(alice)

    hits = ask(alice, f'"{library[2]}" sky', limit=3)["results"]

    assert [library[2] in hit["text"] for hit in hits] == [True] * 3


def test_a_passage_that_comes_later_is_found_in_its_cell(ask, alice, library, ready, monkeypatch):
    sort(alice)
    monkeypatch.setattr(finder, "BUDGET_ROWS", 12)
    document = ready(alice, b"zeppelins hydrogen sky and nothing else", "later.txt")

    hits = ask(alice, "zeppelins hydrogen sky", group="document")["results"]

    assert str(document.id) in [hit["document_id"] for hit in hits]
    with creator_scope(alice.creator.id):
        numbers = set(Cell.objects.values_list("number", flat=True))
        assert Vector.objects.get(version__document_id=document.id).cell in numbers


@pytest.mark.parametrize("narrowed", [{}, {"from": "2020-01-01"}])
def test_a_vector_that_was_stored_in_a_cell_that_is_gone_is_looked_at(ask, alice, library, monkeypatch, narrowed):
    """Its cell was chosen before others were made, and its transaction ended after."""
    (best, *_) = nearest(ask, alice, library[0])
    sort(alice)
    monkeypatch.setattr(finder, "BUDGET_ROWS", 1)
    with creator_scope(alice.creator.id):
        chunk = Chunk.objects.get(id=best)
        Vector.objects.filter(version_id=chunk.version_id, position=chunk.position).update(cell=0)

    legs = ask(alice, library[0], limit=10, explain=True, **narrowed)["legs"]

    assert best in [one["chunk_id"] for one in legs["vector"]]


def test_while_cells_are_made_anew_every_vector_is_looked_at(ask, alice, library, monkeypatch):
    before = [nearest(ask, alice, subject) for subject in library]
    sort(alice)
    monkeypatch.setattr(finder, "BUDGET_ROWS", 1)
    with creator_scope(alice.creator.id):
        SearchIndex.objects.update(cell_rows=20)  # they have doubled
        old = set(Cell.objects.values_list("number", flat=True))
    sample = serve(alice, indexes.sample_for_cells, model=MODEL)
    serve(alice, indexes.begin_cells, model=MODEL, centres=find_centres(sample))

    assert [nearest(ask, alice, subject) for subject in library] == before
    serve(alice, indexes.finish_cells, model=MODEL)
    with creator_scope(alice.creator.id):
        new = set(Cell.objects.values_list("number", flat=True))
        assert set(Vector.objects.values_list("cell", flat=True)) <= new
        assert max(old) < min(new)
        assert SearchIndex.objects.get().cell_model == MODEL


def test_a_search_that_meets_new_cells_begins_anew(ask, alice, library, monkeypatch):
    """Between its first message, which says that there are cells, and its second they are put in question."""
    before = [nearest(ask, alice, subject) for subject in library]
    sort(alice)
    monkeypatch.setattr(finder, "BUDGET_ROWS", 1)
    candidates, asked = statements.candidates, []

    def meanwhile(where, **how):
        asked.append(how["cells"])
        sql = candidates(where, **how)
        return sql if len(asked) > 1 else sql.replace("SELECT cell_model::text", "SELECT NULL::text")

    monkeypatch.setattr(statements, "candidates", meanwhile)

    assert set(nearest(ask, alice, library[0])) <= set(before[0])
    assert asked == [True, True]


def test_a_search_that_finds_no_peace_says_so(client, alice, library, monkeypatch):
    sort(alice)
    candidates = statements.candidates
    monkeypatch.setattr(
        statements,
        "candidates",
        lambda where, **how: candidates(where, **how).replace("cell_model::text", "NULL::text"),
    )

    response = client.get("/api/v1/search", {"q": library[0]}, headers=alice.headers)

    assert (response.status_code, response.json()["code"]) == (503, "search_interrupted")


def test_no_cells_are_made_for_a_few_vectors_nor_again_before_they_have_doubled(alice, library, monkeypatch):
    assert serve(alice, indexes.sample_for_cells, model=MODEL) is not None
    sort(alice)
    assert serve(alice, indexes.sample_for_cells, model=MODEL) is None
    assert serve(alice, indexes.tend_index, models=[MODEL]) == 0
    assert serve(alice, indexes.tend_index, models=[uuid4()]) == 1
    with creator_scope(alice.creator.id):
        SearchIndex.objects.update(cell_rows=20)
    assert serve(alice, indexes.sample_for_cells, model=MODEL) is not None
    monkeypatch.setattr(cells, "EXACT_ROWS", 40)
    assert serve(alice, indexes.sample_for_cells, model=MODEL) is None


def test_centres_are_where_the_vectors_are():
    generator = np.random.default_rng(1)
    truth = np.eye(8, dtype=np.float32)
    vectors = np.repeat(truth, 50, axis=0) + generator.normal(0, 0.05, (400, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    centres = find_centres(Sample(vectors, 400))

    assert centres.shape == (40, 8)
    assert np.linalg.norm(centres, axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    assert (vectors @ centres.T).max(axis=1).mean() > 0.95
    assert np.array_equal(centres, find_centres(Sample(vectors, 400)))


@pytest.mark.django_db(transaction=True)
def test_sorting_waits_for_nobody_who_holds_a_vector(alice, library):
    """Whoever switches a version holds its vectors in another order: to wait for them could be a deadlock."""
    from tests.tenancy.tools import bind, connect

    sample = serve(alice, indexes.sample_for_cells, model=MODEL)
    serve(alice, indexes.begin_cells, model=MODEL, centres=find_centres(sample))
    with connect() as other:
        bind(other, alice.creator.id)
        held = other.execute("SELECT id FROM knowledge_vector ORDER BY id LIMIT 1 FOR UPDATE").fetchone()[0]
        work = cells.Sorting(MODEL)
        while serve(alice, indexes.fill_cells, work=work):
            pass
        serve(alice, indexes.finish_cells, model=MODEL)
        with creator_scope(alice.creator.id):
            numbers = set(Cell.objects.values_list("number", flat=True))
            left = [vector.id for vector in Vector.objects.all() if vector.cell not in numbers]

    assert left == [held]
    with creator_scope(alice.creator.id):
        assert SearchIndex.objects.get().cell_model == MODEL
