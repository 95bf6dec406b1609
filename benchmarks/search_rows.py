"""The rows of `search_scale`: whole libraries, as indexing would have left them, and libraries that are like others.

Set by set and as the owner of the tables, for whom the policies are taken off meanwhile: it would take hours to bring
a million passages one document at a time. That these are the rows which `apps.knowledge.search.index` writes is for
tests/benchmarks/test_search_rows.py to say.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from apps.knowledge.models import LONGEST_WORD, Chunk, Document, Vector, Version
from apps.knowledge.search.postings import LONGEST_ROW, MOST
from benchmarks.progress import Progress
from benchmarks.search_corpus import Corpus, Floats, Written, spread

MODEL = UUID(int=1)
TABLES = ("document", "version", "chunk", "vector", "posting", "word", "searchindex", "cell")
# What one statement makes, so that a bar moves and nothing has to fit in memory.
_ROWS_AT_ONCE, _TWINS_AT_ONCE = 20_000, 1000
_ATTEMPTS = 10
# In so many ways the vectors of one library differ from those that they are like.
_NOISES = 4096

type Owner = psycopg.Connection[Any]

_TEMPORARY = """
CREATE TEMP TABLE made_document (
    number int PRIMARY KEY, title text, document uuid DEFAULT uuidv7(), version uuid DEFAULT uuidv7()
);
CREATE TEMP TABLE made_passage (number int, position int, text text);
CREATE TEMP TABLE made_vector (number int, position int, embedding halfvec);
CREATE TEMP TABLE made_noise (number int PRIMARY KEY, embedding halfvec);
CREATE TEMP TABLE made_twin (
    turn int, creator uuid, ordinal int, like_creator uuid, like_version uuid, document uuid, version uuid
)
"""
_DOCUMENTS = """
INSERT INTO knowledge_document (creator_id, id, title, filename, media_type, bytes, tags, status, stage, progress_done,
    progress_total, failure_code, failure_sentence, failure_action, version, live_version, chunk_count, created_at,
    updated_at)
SELECT %(creator)s, document, title, 'session-' || number || '.txt', 'text/plain', 70000,
       ARRAY['handbook', 'part ' || number %% 7], 'ready', 'verify', %(passages)s, %(passages)s, '', '', '', 1, 1,
       %(passages)s, now(), now()
  FROM made_document ORDER BY number
"""
_VERSIONS = """
INSERT INTO knowledge_version (creator_id, id, document_id, number, origin, filename, media_type, bytes, content_sha256,
    storage_path, language, status, turn, chunk_count, keeps_passages, live, ordinal, patches, indexed_span,
    indexed_passages, indexed_words, failure_code, created_at, finished_at)
SELECT %(creator)s, d.version, d.document, 1, 'upload', 'session-' || d.number || '.txt', 'text/plain', 70000, '', '',
       'en', 'ready', 0, %(passages)s, true, true, d.number, '', c.span, c.passages, c.words, '', now(), now()
  FROM made_document d
  JOIN (SELECT version_id, max(position) + 1 AS span, count(*) AS passages, sum(lexeme_count) AS words
          FROM knowledge_chunk WHERE creator_id = %(creator)s GROUP BY version_id) c ON c.version_id = d.version
 ORDER BY d.number
"""
_CHUNKS = """
INSERT INTO knowledge_chunk (creator_id, id, document_id, version_id, position, text, heading, source, occurrence,
    edited, hidden, tokens, lexemes, lexeme_count)
SELECT %(creator)s, uuidv7(), d.document, d.version, p.position, p.text, '', md5(p.text)::uuid, 0, false, false, 128,
       l.lexemes, (SELECT sum(cardinality(w.positions)) FROM unnest(l.lexemes) w)
  FROM made_passage p JOIN made_document d ON d.number = p.number,
       LATERAL (SELECT to_tsvector('english', d.title || E'\\n' || p.text) AS lexemes OFFSET 0) l
 ORDER BY d.number, p.position
"""
_VECTORS = """
INSERT INTO knowledge_vector (creator_id, id, version_id, position, model, made_of, embedding, cell, live, hidden)
SELECT %(creator)s, gen_random_uuid(), d.version, p.position, %(model)s, gen_random_uuid(), p.embedding, 0, true, false
  FROM made_vector p JOIN made_document d ON d.number = p.number ORDER BY d.number, p.position
"""
_POSTINGS = f"""
INSERT INTO knowledge_posting (creator_id, id, lexeme, data)
SELECT %(creator)s, gen_random_uuid(), lexeme, string_agg(entry, '' ORDER BY ordinal, position)
  FROM (SELECT w.lexeme, v.ordinal, c.position,
               int4send(v.ordinal) || int4send(c.position) || int2send(least(cardinality(w.positions), {MOST})::int2)
                   || int2send(least(c.lexeme_count, {MOST})::int2) AS entry,
               row_number() OVER (PARTITION BY w.lexeme ORDER BY v.ordinal, c.position) - 1 AS place
          FROM knowledge_version v JOIN knowledge_chunk c ON c.creator_id = v.creator_id AND c.version_id = v.id,
               unnest(c.lexemes) w
         WHERE v.creator_id = %(creator)s AND v.ordinal > %(above)s AND length(w.lexeme) <= {LONGEST_WORD}) p
 GROUP BY lexeme, place / {LONGEST_ROW} ORDER BY lexeme, place / {LONGEST_ROW}
"""
_WORDS = f"""
INSERT INTO knowledge_word (creator_id, id, text)
SELECT %(creator)s, gen_random_uuid(), text
  FROM (SELECT DISTINCT lower(t.token) AS text
          FROM (SELECT title AS text FROM knowledge_document WHERE creator_id = %(creator)s
                UNION ALL SELECT text FROM knowledge_chunk WHERE creator_id = %(creator)s) c,
               ts_parse('default', c.text) t
         WHERE t.tokid IN (1, 2, 10, 11) AND length(t.token) BETWEEN 3 AND {LONGEST_WORD}) w
 WHERE length(to_tsvector('english', text)) > 0 ORDER BY text
"""
_INDEX = """
INSERT INTO knowledge_searchindex (creator_id, id, last_ordinal, languages, added, merged, cell_rows)
SELECT %(creator)s, gen_random_uuid(), %(documents)s, ARRAY['en'], 0, %(documents)s, 0
"""
_SETTLED = "SELECT relallvisible >= relpages * 0.95 FROM pg_class WHERE oid = %s::regclass"

# ---- Libraries like others: document by document, all creators' side by side, as they would have come.

_TWINS = """
INSERT INTO made_twin
SELECT row_number() OVER (ORDER BY v.ordinal, t.above, t.creator), t.creator, v.ordinal + t.above, v.creator_id, v.id,
       uuidv7(), uuidv7()
  FROM unnest(%(creators)s::uuid[], %(likes)s::uuid[], %(aboves)s::int[]) AS t(creator, like_creator, above)
  JOIN knowledge_version v ON v.creator_id = t.like_creator AND v.ordinal <= %(documents)s
"""
_SAME = """
INSERT INTO knowledge_{table} (creator_id, id, {columns})
SELECT t.creator, gen_random_uuid(), {columns}
  FROM unnest(%(creators)s::uuid[], %(likes)s::uuid[]) AS t(creator, like_creator)
  JOIN knowledge_{table} x ON x.creator_id = t.like_creator ORDER BY t.creator{order}
"""
_SAME_ROWS = [
    _SAME.format(table="posting", columns="lexeme, data", order=", lexeme, octet_length(data) DESC, data"),
    _SAME.format(table="word", columns="text", order=", text"),
    _SAME.format(table="searchindex", columns="last_ordinal, languages, added, merged, cell_rows", order=""),
]


def _twin(model: type[Any], key: str, **own: str) -> str:
    """Rows that are another's but for some columns, for some of `made_twin`."""
    own["creator_id"] = "t.creator"
    columns = [field.column for field in model._meta.concrete_fields]
    values = [own.get(column, f"x.{column}") for column in columns]
    return f"""
        INSERT INTO {model._meta.db_table} ({", ".join(columns)}) SELECT {", ".join(values)}
          FROM made_twin t JOIN knowledge_version v ON v.creator_id = t.like_creator AND v.id = t.like_version
          JOIN {model._meta.db_table} x ON x.creator_id = t.like_creator AND x.{key}
         WHERE t.turn BETWEEN %(first)s AND %(last)s ORDER BY t.turn
    """


_NOISE = f"""l2_normalize(x.embedding + (SELECT n.embedding FROM made_noise n WHERE n.number =
    (hashtextextended(t.version::text, x.position) & {_NOISES - 1})))"""
_TWIN_ROWS = [
    _twin(Document, "id = v.document_id", id="t.document"),
    _twin(Version, "id = v.id", id="t.version", document_id="t.document", ordinal="t.ordinal"),
    _twin(Chunk, "version_id = v.id", id="uuidv7()", document_id="t.document", version_id="t.version"),
    _twin(Vector, "version_id = v.id", id="gen_random_uuid()", version_id="t.version", cell="0", embedding=_NOISE),
]


def make_temporary(owner: Owner) -> None:
    """Make the tables, seen by this connection only, that rows are made of."""
    owner.execute(_TEMPORARY)


@contextmanager
def above_policies(owner: Owner) -> Iterator[None]:
    """Let the owner of the tables write rows of every creator. Nothing is to be measured meanwhile."""
    _force(owner, "NO FORCE")
    try:
        yield
    finally:
        _force(owner, "FORCE")


def settle(owner: Owner) -> None:
    """What autovacuum would have done by tomorrow.

    Once is not enough where somebody else's transaction is open, for instance autovacuum's own.
    """
    for table in TABLES:
        for _ in range(_ATTEMPTS):
            owner.execute(f"VACUUM ANALYZE knowledge_{table}")
            ((settled,),) = owner.execute(_SETTLED, [f"knowledge_{table}"]).fetchall()
            if settled:
                break
            time.sleep(1)


def make_library(owner: Owner, creator: UUID, corpus: Corpus, *, documents: int, passages: int) -> None:
    """A creator with so many documents of so many passages each, indexed."""
    values = {"creator": creator, "documents": documents, "passages": passages, "model": MODEL, "above": 0}
    step = max(_ROWS_AT_ONCE // passages, 1)
    with owner.transaction():
        owner.execute("TRUNCATE made_document")
        for first in range(1, documents + 1, step):
            numbers = range(first, min(first + step, documents + 1))
            _bring(owner, {number: corpus.write(passages) for number in numbers})
            owner.execute(_CHUNKS, values)
            owner.execute(_VECTORS, values)
        # A version refers to a document, and is referred to; the keys are checked at the end.
        for statement in (_DOCUMENTS, _VERSIONS, _POSTINGS, _WORDS, _INDEX):
            owner.execute(statement, values)


def make_alike(owner: Owner, pairs: Sequence[tuple[UUID, UUID]], *, documents: int, noise: Floats) -> None:
    """Libraries of new creators, each with the words of another's and with vectors of its own near the other's."""
    creators, likes = [one for one, _ in pairs], [like for _, like in pairs]
    values = {"creators": creators, "likes": likes, "aboves": [0] * len(pairs), "documents": documents}
    _make_twins(owner, values, noise)
    with Progress("words", len(pairs)) as progress:
        for place in range(len(pairs)):
            some = {"creators": creators[place : place + 1], "likes": likes[place : place + 1]}
            for statement in _SAME_ROWS:
                owner.execute(statement, some)
            progress.add()


def add_copies(owner: Owner, creator: UUID, like: UUID, *, copies: int, documents: int, noise: Floats) -> None:
    """Bring to a creator near-copies of the first documents of another, so many of each, and index them."""
    sql = "SELECT last_ordinal FROM knowledge_searchindex WHERE creator_id = %s"
    ((last,),) = owner.execute(sql, [creator]).fetchall()
    values = {
        "creators": [creator] * copies,
        "likes": [like] * copies,
        "aboves": [last + documents * number for number in range(copies)],
        "documents": documents,
    }
    with owner.transaction():
        _make_twins(owner, values, noise)
        owner.execute(_POSTINGS, {"creator": creator, "above": last})
        sql = "UPDATE knowledge_searchindex SET last_ordinal = %s WHERE creator_id = %s"
        owner.execute(sql, [last + documents * copies, creator])


def remove_copies(owner: Owner, creator: UUID, *, documents: int) -> None:
    """Leave a creator the first documents, and the postings of no other."""
    values = {"creator": creator, "documents": documents, "above": 0}
    gone = "SELECT id FROM knowledge_version WHERE creator_id = %(creator)s AND ordinal > %(documents)s"
    with owner.transaction():
        for table in ("vector", "chunk"):
            owner.execute(
                f"DELETE FROM knowledge_{table} WHERE creator_id = %(creator)s AND version_id IN ({gone})", values
            )
        owner.execute(
            "DELETE FROM knowledge_document d USING knowledge_version v WHERE d.creator_id = %(creator)s"
            " AND v.creator_id = %(creator)s AND v.document_id = d.id AND v.ordinal > %(documents)s",
            values,
        )
        owner.execute("DELETE FROM knowledge_posting WHERE creator_id = %(creator)s", values)
        owner.execute(_POSTINGS, values)
        sql = "UPDATE knowledge_searchindex SET last_ordinal = %(documents)s WHERE creator_id = %(creator)s"
        owner.execute(sql, values)


def noise_of(away: float) -> Floats:
    """In which ways, and how far, the vectors of libraries differ that are alike."""
    noise: Floats = away * spread(np.random.default_rng(2), _NOISES)
    return noise


# ---- In parts


def _force(owner: Owner, verb: str) -> None:
    for table in TABLES:
        owner.execute(f"ALTER TABLE knowledge_{table} {verb} ROW LEVEL SECURITY")


def _bring(owner: Owner, written: dict[int, Written]) -> None:
    owner.execute("TRUNCATE made_passage, made_vector")
    with owner.cursor() as cursor:
        with cursor.copy("COPY made_document (number, title) FROM STDIN") as copy:
            for number, document in written.items():
                copy.write_row((number, document.title))
        with cursor.copy("COPY made_passage FROM STDIN") as copy:
            for number, document in written.items():
                for position, text in enumerate(document.texts):
                    copy.write_row((number, position, text))
        numbers = np.concatenate([np.full(len(one.vectors), number) for number, one in written.items()])
        positions = np.concatenate([np.arange(len(one.vectors)) for one in written.values()])
        vectors = np.concatenate([one.vectors for one in written.values()])
        with cursor.copy("COPY made_vector FROM STDIN (FORMAT binary)") as copy:
            copy.write(binary_rows([numbers, positions], vectors))
    owner.execute("ANALYZE made_document, made_passage, made_vector")


def _make_twins(owner: Owner, values: dict[str, Any], noise: Floats) -> None:
    owner.execute("TRUNCATE made_twin, made_noise")
    with owner.cursor() as cursor, cursor.copy("COPY made_noise FROM STDIN (FORMAT binary)") as copy:
        copy.write(binary_rows([np.arange(len(noise))], noise))
    owner.execute(_TWINS, values)
    owner.execute("CREATE INDEX IF NOT EXISTS made_twin_turn ON made_twin (turn)")
    owner.execute("ANALYZE made_twin, made_noise")
    ((count,),) = owner.execute("SELECT count(*) FROM made_twin").fetchall()
    with Progress("documents", count) as progress:
        for first in range(1, count + 1, _TWINS_AT_ONCE):
            turns = {"first": first, "last": first + _TWINS_AT_ONCE - 1}
            for statement in _TWIN_ROWS:
                owner.execute(statement, turns)
            progress.show(min(turns["last"], count))


def binary_rows(numbers: Sequence[Any], vectors: Floats) -> bytes:
    """Rows of whole numbers and a half-precision vector, as COPY reads them in its binary format."""
    columns = [(f"{kind}{place}", ">i4") for place in range(len(numbers)) for kind in ("bytes", "number")]
    size = vectors.shape[1]
    vector = [("bytes", ">i4"), ("size", ">i2"), ("unused", ">i2"), ("values", ">f2", (size,))]
    rows = np.zeros(len(vectors), dtype=[("columns", ">i2"), *columns, *vector])
    rows["columns"], rows["bytes"], rows["size"], rows["values"] = len(numbers) + 1, 4 + 2 * size, size, vectors
    for place, column in enumerate(numbers):
        rows[f"bytes{place}"], rows[f"number{place}"] = 4, column
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"
