"""The index of words says what the tables say, whatever happens to documents."""

from uuid import uuid4

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pgvector import HalfVector

from apps.knowledge import indexing, tending
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.models import Chunk, Posting, SearchIndex, Vector, Version, Word
from apps.knowledge.search import index
from apps.knowledge.search.postings import ENTRY, LONGEST_ROW, MOST_PATCHES, PATCH
from apps.knowledge.services import corrections, indexes
from apps.knowledge.services.versions import living_jobs
from shared.tenancy.run import run_as
from shared.tenancy.scope import creator_scope
from tests.knowledge.search.exact import exact_scores

pytestmark = pytest.mark.django_db

QUESTIONS = ["refunds", "cats and refunds", "sofas", "policy", "zeppelins refunded on mondays"]


def parts(*texts):
    return "\n\n".join(f"# Part {number}\n\n{text}" for number, text in enumerate(texts)).encode()


@pytest.fixture
def agrees(words_alone, alice):
    """Ask, and compare with what the tables say; returns how many passages were found in all."""

    def call():
        found = 0
        for question in QUESTIONS:
            with creator_scope(alice.creator.id):
                exact = exact_scores(question)
            assert words_alone(alice, question) == pytest.approx(exact, abs=2e-4), question
            found += len(exact)
        return found

    return call


@pytest.fixture
def change(client, alice):
    """Change a passage over the API: `change(document, position, text="...")`."""

    def call(document, position, **changes):
        passages = client.get(f"/api/v1/documents/{document.id}/passages", headers=alice.headers).json()["items"]
        path = f"/api/v1/documents/{document.id}/passages/{passages[position]['id']}"
        response = client.patch(path, changes, headers=alice.headers, content_type="application/json")
        assert response.status_code == 200, response.content

    return call


@pytest.fixture
def policy(alice, ready):
    """A document of three passages."""
    return ready(alice, parts("Refunds on mondays.", "Cats on sofas, refunds, cats.", "Zeppelins."), "policy.md")


@pytest.fixture
def others(alice, ready):
    """Two more."""
    return [ready(alice, b"Refunds of cats, and refunds again.", "a.txt"), ready(alice, b"Of sofas.", "b.txt")]


@pytest.fixture
def book(alice, ready):
    """A document of five passages that all say something of what is asked."""
    return ready(alice, parts(*(f"{question} number {place}" for place, question in enumerate(QUESTIONS))), "book.md")


def tidy(person):
    async_to_sync(indexing.tidy)(person.actor)


def test_it_counts_what_came(agrees, policy, others):
    assert agrees() > 5


def test_it_counts_nothing_that_is_deleted(client, alice, agrees, policy, others):
    before = agrees()
    client.delete(f"/api/v1/documents/{others[0].id}", headers=alice.headers)

    assert 0 < agrees() < before


def test_it_counts_the_version_that_answers(client, alice, agrees, policy, others, bring, process):
    path = f"/api/v1/documents/{policy.id}"
    client.post(f"{path}/reprocess", headers=alice.headers)
    agrees()  # while the new one waits
    process(alice.actor, policy)
    agrees()
    client.post(f"{path}/versions/1/restore", headers=alice.headers)

    assert agrees()


def test_it_counts_what_a_passage_says_now(agrees, policy, others, change):
    change(policy, 2, text="Refunds, refunds, and no airships.")

    assert agrees()


def test_a_hidden_passage_counts_for_nothing_until_it_is_shown(words_alone, alice, agrees, policy, others, change):
    before = words_alone(alice, "cats")
    change(policy, 1, hidden=True)
    agrees()
    assert len(words_alone(alice, "cats")) == len(before) - 1
    with creator_scope(alice.creator.id):
        assert list(Vector.objects.filter(hidden=True).values_list("position", flat=True)) == [1]
    change(policy, 1, hidden=False)

    agrees()
    assert words_alone(alice, "cats") == before


def test_only_the_passage_that_changed_is_indexed_again(alice, agrees, policy, others, change):
    with creator_scope(alice.creator.id):
        before = {row.id: bytes(row.data) for row in Posting.objects.all()}
        ordinal = Version.objects.get(document=policy).ordinal
    change(policy, 2, text="Refunds, refunds, and no airships.")
    change(policy, 0, hidden=True)
    change(policy, 2, text="Airships after all.")

    agrees()
    with creator_scope(alice.creator.id):
        version = Version.objects.get(document=policy)
        pairs = np.frombuffer(bytes(version.patches), dtype=PATCH).tolist()
        assert version.ordinal == ordinal
        assert pairs == [(ordinal + 4, 0), (ordinal + 5, 2)]
        added = b"".join(bytes(row.data) for row in Posting.objects.exclude(id__in=before))
        assert {entry[:2] for entry in np.frombuffer(added, dtype=ENTRY).tolist()} == {
            (ordinal + 3, 2),
            (ordinal + 5, 2),
        }
        assert {row.id: bytes(row.data) for row in Posting.objects.filter(id__in=before)} == before


def test_a_passage_is_patched_where_it_stands_in_each_version(alice, agrees, policy, bring_version, process, change):
    longer = b"# Before\n\nSomething else.\n\n" + parts("Refunds on mondays.", "Cats on sofas, refunds, cats.")
    bring_version(alice, policy, longer, name="policy.md")
    process(alice.actor, policy)
    agrees()
    with creator_scope(alice.creator.id):
        places = {
            version: set(Chunk.objects.filter(version=version).values_list("source", "position"))
            for version in Version.objects.filter(document=policy)
        }
        shared = set.intersection(*({source for source, _ in ones} for ones in places.values()))
        assert shared, "no passage stands in both"
    ((source, position),) = [one for one in places[max(places, key=lambda one: one.number)] if one[0] in shared][:1]

    change(policy, position, hidden=True)

    agrees()
    with creator_scope(alice.creator.id):
        for version, ones in places.items():
            patched = np.frombuffer(bytes(Version.objects.get(id=version.id).patches), dtype=PATCH)["position"]
            assert patched.tolist() == [place for one, place in ones if one == source]
    assert position > 0


def test_passages_that_are_dropped_are_patched_no_more(client, alice, policy, change, process, monkeypatch):
    from apps.knowledge.services import switching

    monkeypatch.setattr(switching, "KEPT_VERSIONS", 2)
    change(policy, 0, hidden=True)
    for _ in range(2):
        client.post(f"/api/v1/documents/{policy.id}/reprocess", headers=alice.headers)
        process(alice.actor, policy)

    with creator_scope(alice.creator.id):
        first = Version.objects.get(document=policy, number=1)
        assert (first.ordinal, bytes(first.patches)) == (None, b"")


def test_a_version_with_many_patches_is_indexed_as_a_whole(alice, agrees, policy, others, change, monkeypatch):
    monkeypatch.setattr(index, "MOST_PATCHES", 2)
    with creator_scope(alice.creator.id):
        ordinal = Version.objects.get(document=policy).ordinal
    for position in range(3):
        change(policy, position, text=f"Refunds and sofas number {position}.")

    agrees()
    with creator_scope(alice.creator.id):
        version = Version.objects.get(document=policy)
        assert (version.ordinal, bytes(version.patches)) == (ordinal + 5, b"")


def test_as_many_patches_as_are_allowed_fit_into_the_index(alice, policy):
    numbers = np.random.default_rng(1).integers(0, 2**31, (MOST_PATCHES, 2))  # nothing that could be compressed
    patches = np.array([tuple(pair) for pair in numbers.tolist()], dtype=PATCH).tobytes()
    with creator_scope(alice.creator.id):
        Version.objects.filter(document=policy).update(patches=patches)

        assert bytes(Version.objects.get(document=policy).patches) == patches


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["hide", "show", *QUESTIONS])), max_size=8), st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_edited_and_hidden_the_index_says_what_the_tables_say(alice, agrees, book, serve, acts, tidied):
    for position, what in acts:
        with creator_scope(alice.creator.id):
            chunk = Chunk.objects.get(document=book, position=position)
        about = {"document_id": book.id, "chunk_id": chunk.id}
        if what in ("hide", "show"):
            serve(alice.actor, corrections.correct_passage, hidden=what == "hide", **about)
        else:
            vector = HalfVector([1.0] + [0.0] * 383)
            new = corrections.NewText(what, 3, vector, embedder_hash("words"), uuid4())
            serve(alice.actor, corrections.correct_passage, new=new, **about)
    if tidied:
        tidy(alice)

    agrees()


def test_a_title_counts_for_each_passage_until_it_is_another(client, alice, words_alone, agrees, policy, others):
    assert len(words_alone(alice, "policy")) == 3
    client.patch(
        f"/api/v1/documents/{policy.id}", {"title": "Zeppelins"}, headers=alice.headers, content_type="application/json"
    )

    agrees()
    assert words_alone(alice, "policy") == {}
    assert len(words_alone(alice, "zeppelin")) == 3


def test_another_creators_passages_count_for_nothing(alice, mallory, words_alone, agrees, policy, ready):
    before = [words_alone(alice, question) for question in QUESTIONS]
    ready(mallory, parts("Refunds.", "Cats and refunds.", "Sofas."), "theirs.md")

    agrees()
    assert [words_alone(alice, question) for question in QUESTIONS] == before


def test_a_long_document_is_found_in_every_row_of_its_postings(alice, words_alone, ready):
    count = 2 * LONGEST_ROW + 7
    ready(alice, parts(*(f"The refunds of the customers, number {number}." for number in range(count))), "long.md")

    with creator_scope(alice.creator.id):
        lengths = sorted(len(bytes(row.data)) // ENTRY.itemsize for row in Posting.objects.filter(lexeme="refund"))
        assert lengths == [7, LONGEST_ROW, LONGEST_ROW]
        exact = exact_scores("refunds")
    assert len(exact) == count
    found = words_alone(alice, "refunds")
    assert len(found) == 100
    assert found == pytest.approx({chunk: exact[chunk] for chunk in found}, abs=2e-4)


# ---- Tidying


def test_tidying_merges_rows_and_drops_what_is_gone_and_changes_no_answer(
    client, alice, agrees, words_alone, policy, others, change
):
    change(policy, 0, text="Refunds on tuesdays.")
    client.delete(f"/api/v1/documents/{others[1].id}", headers=alice.headers)
    before = [words_alone(alice, question) for question in QUESTIONS]
    with creator_scope(alice.creator.id):
        assert Posting.objects.filter(lexeme="refund").count() > 1

    tidy(alice)

    assert [words_alone(alice, question) for question in QUESTIONS] == before
    agrees()
    with creator_scope(alice.creator.id):
        assert Posting.objects.filter(lexeme="refund").count() == 1
        entries = np.frombuffer(b"".join(bytes(row.data) for row in Posting.objects.all()), dtype=ENTRY)
        versions = Version.objects.get(document=policy), Version.objects.get(document=others[0])
        ((patch, position),) = np.frombuffer(bytes(versions[0].patches), dtype=PATCH).tolist()
        assert {entry[:2] for entry in entries[["ordinal", "position"]].tolist()} == {
            (patch, position),
            (versions[0].ordinal, 1),
            (versions[0].ordinal, 2),
            (versions[1].ordinal, 0),
        }
        index = SearchIndex.objects.get()
        assert (index.added, index.merged) == (0, 2)


def test_more_edits_during_a_tidying_than_there_are_versions(alice, agrees, policy, change):
    added = async_to_sync(run_as)(alice.actor, indexes.begin_tidying)
    for hidden in (True, False, True):
        change(policy, 0, hidden=hidden)
    async_to_sync(run_as)(alice.actor, indexes.end_tidying, added=added)

    agrees()
    with creator_scope(alice.creator.id):
        entry = SearchIndex.objects.get()
        assert (entry.added, entry.merged) == (3, 0)


def test_tidying_sweeps_words_that_no_passage_has(client, alice, policy, others, ready, words_alone):
    gone = ready(alice, b"Hydrogen in refunds.", "gas.txt")
    client.delete(f"/api/v1/documents/{gone.id}", headers=alice.headers)
    with creator_scope(alice.creator.id):
        assert Word.objects.filter(text="hydrogen").exists()

    tidy(alice)

    with creator_scope(alice.creator.id):
        texts = set(Word.objects.values_list("text", flat=True))
    assert "hydrogen" not in texts
    assert {"refunds", "cats", "zeppelins", "policy"} <= texts


def test_what_is_tidy_is_left_alone(alice, policy):
    tidy(alice)
    with creator_scope(alice.creator.id):
        before = set(Posting.objects.values_list("id", flat=True))

    tidy(alice)

    with creator_scope(alice.creator.id):
        assert set(Posting.objects.values_list("id", flat=True)) == before


def test_an_index_without_anything_is_tidy(client, alice, agrees, policy):
    client.delete(f"/api/v1/documents/{policy.id}", headers=alice.headers)
    tidy(alice)

    assert agrees() == 0
    with creator_scope(alice.creator.id):
        assert not Posting.objects.exists()
        assert not Word.objects.exists()


def test_tidying_goes_over_more_lexemes_and_words_than_it_looks_at_together(alice, agrees, policy, others, monkeypatch):
    from apps.knowledge.search import tidying

    monkeypatch.setattr(tidying, "_LEXEMES", 2)
    monkeypatch.setattr(tidying, "_WORDS", 2)
    tidy(alice)

    agrees()
    with creator_scope(alice.creator.id):
        lexemes = list(Posting.objects.values_list("lexeme", flat=True))
    assert len(lexemes) == len(set(lexemes)) > 5


def test_the_clock_has_an_index_tidied_when_much_has_changed_and_once_at_a_time(alice, policy, monkeypatch):
    def tend(untidy):
        models = [embedder_hash("words")]
        return async_to_sync(run_as)(alice.actor, indexes.tend_index, models=models, untidy=untidy)

    assert tend(2) == 0
    assert tend(1) == 1
    assert tend(1) == 0
    with creator_scope(alice.creator.id):
        assert living_jobs([SearchIndex.objects.get().job])
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM procrastinate_jobs")
    tidy(alice)
    assert tend(1) == 0


def test_in_the_night_each_index_is_tidied_that_has_changed(client, alice, mallory, policy, ready):
    ready(mallory, b"Something.")
    tidy(mallory)

    assert async_to_sync(tending.tidy_indexes)() == 1
    client.delete(f"/api/v1/documents/{policy.id}", headers=alice.headers)
    tidy(alice)
    assert async_to_sync(tending.tidy_indexes)() == 0


def test_who_never_brought_anything_has_nothing_to_tidy(alice):
    tidy(alice)

    assert async_to_sync(tending.tidy_indexes)() == 0


# ---- What goes with the passages


def test_passages_take_all_that_was_made_of_them_along(client, alice, policy, bring, process, monkeypatch):
    from apps.knowledge.services import switching

    monkeypatch.setattr(switching, "KEPT_VERSIONS", 2)
    for _ in range(3):
        client.post(f"/api/v1/documents/{policy.id}/reprocess", headers=alice.headers)
        process(alice.actor, policy)

    with creator_scope(alice.creator.id):
        kept = set(Version.objects.filter(keeps_passages=True).values_list("id", flat=True))
        assert len(kept) == 2
        for rows in (Chunk.objects.all(), Vector.objects.all()):
            assert set(rows.values_list("version_id", flat=True)) == kept
        assert set(Version.objects.filter(ordinal__isnull=False).values_list("id", flat=True)) == kept
        (live,) = Version.objects.filter(live=True)
        assert set(Vector.objects.filter(live=True).values_list("version_id", flat=True)) == {live.id}
