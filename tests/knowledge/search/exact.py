"""BM25 as its formula says it, over the passages as they stand in the tables: what the index must agree with."""

import math

from django.db import connection

from apps.knowledge.search.ranking import K1, B

PASSAGES = """
SELECT c.id, w.lexeme, cardinality(w.positions)
  FROM knowledge_document d
  JOIN knowledge_version v ON v.document_id = d.id AND v.number = d.live_version
  JOIN knowledge_chunk c ON c.version_id = v.id
  LEFT JOIN LATERAL unnest(to_tsvector('english', d.title || E'\\n' || c.text)) w ON true
 WHERE NOT c.hidden
"""


def exact_scores(question):
    """By the passage's id, for an English question asked by the creator in scope; passages without its words not."""
    with connection.cursor() as cursor:
        cursor.execute(PASSAGES)
        passages = {}
        for chunk, lexeme, count in cursor.fetchall():
            passages.setdefault(str(chunk), {})[lexeme] = count or 0
        cursor.execute("SELECT tsvector_to_array(to_tsvector('english', %s))", [question])
        (lexemes,) = cursor.fetchone()
    lengths = {chunk: sum(words.values()) for chunk, words in passages.items()}
    average = sum(lengths.values()) / len(lengths) if lengths else 0
    scores = {}
    for lexeme in lexemes:
        holders = [chunk for chunk, words in passages.items() if lexeme in words]
        idf = math.log(1 + (len(passages) - len(holders) + 0.5) / (len(holders) + 0.5))
        for chunk in holders:
            frequency = passages[chunk][lexeme]
            gain = idf * frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * lengths[chunk] / average))
            scores[chunk] = scores.get(chunk, 0.0) + gain
    return {chunk: round(score, 4) for chunk, score in scores.items()}
