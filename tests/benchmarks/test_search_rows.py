"""The rows that the benchmark makes are those that the index makes of the same texts."""

from collections import Counter

import numpy as np
import pytest
from django.db import connection, transaction

from apps.accounts.models import Creator
from apps.knowledge.models import Chunk, Posting, SearchIndex, Vector, Version, Word
from apps.knowledge.search.index import index_words
from apps.knowledge.search.postings import ENTRY, LONGEST_ROW
from benchmarks import search_rows
from benchmarks.search_corpus import Corpus, make_language
from shared.tenancy.scope import creator_scope
from tests.tenancy.tools import connect

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENTS, PASSAGES = 6, 100


@pytest.fixture
def owner():
    told = connection.settings_dict["OWNER"]
    with connect(user=told["USER"], password=told["PASSWORD"], autocommit=True) as session:
        search_rows.make_temporary(session)
        yield session


@pytest.fixture
def creators():
    return [creator.id for creator in Creator.objects.bulk_create(Creator(display_name=str(n)) for n in range(3))]


@pytest.fixture
def corpus():
    return Corpus(make_language(2000), topics=3, seed=1)


@pytest.fixture
def library(owner, creators, corpus):
    with search_rows.above_policies(owner):
        search_rows.make_library(owner, creators[0], corpus, documents=DOCUMENTS, passages=PASSAGES)
    return creators[0]


def entries():
    """All that is packed in the postings in scope: lexeme, version's place, position, frequency, length."""
    order = {ordinal: place for place, ordinal in enumerate(sorted(Version.objects.values_list("ordinal", flat=True)))}
    found = Counter()
    for lexeme, data in Posting.objects.values_list("lexeme", "data"):
        for ordinal, *rest in np.frombuffer(bytes(data), dtype=ENTRY).tolist():
            if ordinal in order:
                found[lexeme, order[ordinal], *rest] += 1
    return found


def in_the_index():
    versions = Version.objects.order_by("ordinal").values_list("indexed_span", "indexed_passages", "indexed_words")
    return entries(), set(Word.objects.values_list("text", flat=True)), list(versions)


def test_the_index_makes_the_same_of_these_texts(library):
    with creator_scope(library), transaction.atomic():
        made = in_the_index()
        Word.objects.all().delete()
        for version in Version.objects.select_related("document").order_by("ordinal"):
            index_words(version_id=version.id, language="en", title=version.document.title)

        assert in_the_index() == made


def test_rows_of_postings_are_full(library):
    with creator_scope(library):
        sizes = Counter(len(bytes(data)) // ENTRY.itemsize for data in Posting.objects.values_list("data", flat=True))
        lexemes = Posting.objects.values("lexeme").distinct().count()

    assert max(sizes) == LONGEST_ROW
    assert sum(count for size, count in sizes.items() if size < LONGEST_ROW) <= lexemes


def test_every_passage_has_a_vector_and_is_one_that_answers(library):
    with creator_scope(library):
        assert Vector.objects.filter(live=True, hidden=False).count() == DOCUMENTS * PASSAGES
        assert Chunk.objects.filter(hidden=False).count() == DOCUMENTS * PASSAGES
        assert SearchIndex.objects.get().last_ordinal == DOCUMENTS


def test_a_library_like_another_has_its_words_and_vectors_of_its_own(owner, creators, library):
    with search_rows.above_policies(owner):
        noise = search_rows.noise_of(0.3)
        search_rows.make_alike(owner, [(creators[1], library)], documents=DOCUMENTS, noise=noise)

    with creator_scope(library):
        one = in_the_index(), vectors()
    with creator_scope(creators[1]):
        other = in_the_index(), vectors()
    assert one[0] == other[0]
    nearness = np.sum(one[1] * other[1], axis=1)
    assert 0.9 < nearness.min() < nearness.max() < 0.99


def test_copies_come_beside_what_a_creator_has_and_go_again(owner, creators, library, corpus):
    with search_rows.above_policies(owner):
        search_rows.make_library(owner, creators[1], corpus, documents=2, passages=5)
    with creator_scope(creators[1]):
        before = in_the_index(), len(vectors())
    with search_rows.above_policies(owner):
        noise = search_rows.noise_of(0.05)
        search_rows.add_copies(owner, creators[1], library, copies=3, documents=DOCUMENTS, noise=noise)
    with creator_scope(creators[1]):
        assert Vector.objects.count() == Chunk.objects.count() == 3 * DOCUMENTS * PASSAGES + 10
        assert sum(entries().values()) > 3 * DOCUMENTS * PASSAGES * 40
        assert SearchIndex.objects.get().last_ordinal == 2 + 3 * DOCUMENTS
    with search_rows.above_policies(owner):
        search_rows.remove_copies(owner, creators[1], documents=2)
    with creator_scope(creators[1]):
        assert (in_the_index(), len(vectors())) == before


def vectors():
    rows = Vector.objects.order_by("version__ordinal", "position").values_list("embedding", flat=True)
    return np.array([list(row) for row in rows])


def test_the_policies_stand_again_when_rows_are_made(owner, library):
    with pytest.raises(ZeroDivisionError), search_rows.above_policies(owner):
        assert owner.execute("SELECT count(*) FROM knowledge_chunk").fetchone() == (DOCUMENTS * PASSAGES,)
        raise ZeroDivisionError
    with owner.transaction():
        assert owner.execute("SELECT count(*) FROM knowledge_chunk").fetchone() == (0,)


def test_copy_reads_the_binary_rows(owner):
    vectors = np.array([[0.5, -1.0], [2.0, 0.25]], dtype=np.float32)
    owner.execute("CREATE TEMP TABLE tried (one int, other int, embedding halfvec)")
    with owner.cursor() as cursor, cursor.copy("COPY tried FROM STDIN (FORMAT binary)") as copy:
        copy.write(search_rows.binary_rows([np.array([1, 2]), np.array([-3, 4])], vectors))

    found = owner.execute("SELECT one, other, embedding::text FROM tried ORDER BY one").fetchall()
    assert found == [(1, -3, "[0.5,-1]"), (2, 4, "[2,0.25]")]
