"""The SQL of a search. Everything runs under the policies; the literal creator lets the planner use the indexes."""

# ---- Where to look. Each part of a search that has to do with versions says so by one of these.

# Every version that answers: one index, and no table.
EVERYWHERE = "knowledge_version v WHERE v.creator_id = %(creator)s AND v.live"
# Those that also fit what was asked for.
NARROWED = """
knowledge_version v JOIN knowledge_document d ON d.creator_id = v.creator_id AND d.id = v.document_id
 WHERE v.creator_id = %(creator)s AND v.live
   AND (%(tag)s::text IS NULL OR %(tag)s::text = ANY(d.tags))
   AND (%(document)s::uuid IS NULL OR d.id = %(document)s::uuid)
   AND (%(language)s::text IS NULL OR v.language = %(language)s::text)
   AND (%(since)s::timestamptz IS NULL OR d.created_at >= %(since)s::timestamptz)
   AND (%(until)s::timestamptz IS NULL OR d.created_at < %(until)s::timestamptz)
"""
# As if a version answered already, in place of the one that does.
INSTEAD = """
knowledge_version v
 WHERE v.creator_id = %(creator)s
   AND (v.id = %(instead)s
        OR v.live AND v.document_id <> (SELECT i.document_id FROM knowledge_version i
                                         WHERE i.creator_id = %(creator)s AND i.id = %(instead)s))
"""

# How the vectors stand, and how many of them are in question.
STATE = """
SELECT (SELECT cell_model FROM knowledge_searchindex WHERE creator_id = %(creator)s),
       (SELECT coalesce(sum(v.indexed_passages), 0) FROM {where})
"""

# The versions that answer, as `Places` reads them.
LIVE = """
int4send(count(*)::int)
    || coalesce(string_agg(int4send(v.ordinal::int) || int4send(v.indexed_span::int), ''), '')
    || coalesce(string_agg(int4send(v.ordinal::int) || int4send(octet_length(v.patches) / 8) || v.patches, '')
                FILTER (WHERE v.patches <> ''), '')
"""

# ---- The legs, in one statement, so that all its parts see one state of the index: what counts as a document, what is
# counted in it, and what is near. Rows of kind, name, bytes, number, number.

_CANDIDATES = f"""
SELECT 'live'::text AS kind, NULL::text AS name, {LIVE} AS data,
       coalesce(sum(v.indexed_passages), 0)::bigint AS passages, coalesce(sum(v.indexed_words), 0)::bigint AS words
  FROM {{where}} AND v.ordinal IS NOT NULL
UNION ALL
SELECT 'posting', lexeme, string_agg(data, ''), NULL, NULL
  FROM knowledge_posting WHERE creator_id = %(creator)s AND lexeme = ANY(%(lexemes)s::text[]) GROUP BY lexeme
"""
_SORTED = """
UNION ALL
SELECT 'cells', (SELECT cell_model::text FROM knowledge_searchindex WHERE creator_id = %(creator)s), NULL, NULL, NULL
"""
_NEAREST = """
UNION ALL
SELECT 'near', NULL,
       string_agg(int4send(v.ordinal::int) || int4send(n.position::int) || float4send(-n.away::float4), ''), NULL, NULL
  FROM (SELECT x.version_id, x.position, x.embedding <#> %(vector)s::halfvec AS away
          FROM knowledge_vector x
         WHERE x.creator_id = %(creator)s AND x.model = %(model)s AND {among} {nearest}) n
  JOIN knowledge_version v ON v.creator_id = %(creator)s AND v.id = n.version_id
 WHERE v.ordinal IS NOT NULL
"""
_FIRST = "ORDER BY away LIMIT %(candidates)s"
# Version after version would be read else, those that answer no more among them.
_EVERY = "OFFSET 0"
# All of them, those of the nearest cells, those of some versions, and those of some versions in the nearest cells.
_ALL = "x.live AND NOT x.hidden"
# A vector may be stored in a cell that is gone by the time it is there: numbers below all that there are.
_CELLS = """x.live AND NOT x.hidden AND (x.cell = ANY(ARRAY(
    SELECT number FROM (SELECT number, sum(size) OVER (ORDER BY centre <#> %(vector)s::halfvec
                                                       ROWS UNBOUNDED PRECEDING) - size AS before
                          FROM knowledge_cell WHERE creator_id = %(creator)s AND model = %(model)s) c
     WHERE before < %(budget)s))
    OR x.cell < (SELECT min(number) FROM knowledge_cell WHERE creator_id = %(creator)s AND model = %(model)s))"""
_VERSIONS = "NOT x.hidden AND x.version_id = ANY(ARRAY(SELECT v.id FROM {where}))"
_VERSIONS_IN_CELLS = f"{_CELLS} AND x.version_id IN (SELECT v.id FROM {{where}})"


def candidates(where: str, *, near: bool, cells: bool, every: bool = False) -> str:
    """The statement of both legs; without `near` of the words alone, with `cells` not of every vector.

    With `every` it says how near each passage is, and not only the nearest.
    """
    sql = _CANDIDATES.format(where=where)
    if not near:
        return sql
    if where == EVERYWHERE:
        among = _CELLS if cells else _ALL
    elif where == NARROWED and cells:
        among = _VERSIONS_IN_CELLS.format(where=where)
    elif where == NARROWED:
        among = f"x.live AND {_VERSIONS.format(where=where)}"
    else:
        # Two parts, for what answers lies in an index of its own.
        among = f"({_ALL} OR x.version_id = %(instead)s AND NOT x.hidden)"
    return sql + _NEAREST.format(among=among, nearest=_EVERY if every else _FIRST) + (_SORTED if cells else "")


# ---- What is known of passages, named by the ordinal of their version and their position in it. Each is looked up by
# itself (OFFSET 0): Postgres believes that a version has one passage, and would read all of it to find one.

NEARNESS = """
SELECT w.ordinal, w.position, p.score
  FROM unnest(%(ordinals)s::int[], %(positions)s::int[]) AS w(ordinal, position)
  JOIN knowledge_version v ON v.creator_id = %(creator)s AND v.ordinal = w.ordinal,
       LATERAL (SELECT -(x.embedding <#> %(vector)s::halfvec) AS score
                  FROM knowledge_vector x
                 WHERE x.creator_id = %(creator)s AND x.version_id = v.id AND x.model = %(model)s
                   AND x.position = w.position OFFSET 0) p
"""
# With the vectors of those that are `first`.
PASSAGES = """
SELECT w.ordinal, w.position, p.id, v.document_id, v.id, p.title, p.text, p.page, p.heading, p.seconds, v.media_type,
       v.language, v.patches, p.vector
  FROM unnest(%(ordinals)s::int[], %(positions)s::int[], %(first)s::bool[]) AS w(ordinal, position, first)
  JOIN knowledge_version v ON v.creator_id = %(creator)s AND v.ordinal = w.ordinal,
       LATERAL (SELECT c.id, d.title, c.text, c.page, c.heading, c.seconds, halfvec_send(x.embedding) AS vector
                  FROM knowledge_chunk c
                  JOIN knowledge_document d ON d.creator_id = %(creator)s AND d.id = v.document_id
                  LEFT JOIN knowledge_vector x ON w.first AND x.creator_id = %(creator)s AND x.version_id = v.id
                   AND x.model = %(model)s AND x.position = w.position
                 WHERE c.creator_id = %(creator)s AND c.version_id = v.id AND c.position = w.position
                   AND NOT c.hidden OFFSET 0) p
"""
# Which of them hold a phrase, cut as each language of the creator's passages would cut it.
HOLD_PHRASE = """
SELECT w.ordinal, w.position
  FROM unnest(%(ordinals)s::int[], %(positions)s::int[]) AS w(ordinal, position)
  JOIN knowledge_version v ON v.creator_id = %(creator)s AND v.ordinal = w.ordinal,
       LATERAL (SELECT c.lexemes FROM knowledge_chunk c
                 WHERE c.creator_id = %(creator)s AND c.version_id = v.id AND c.position = w.position OFFSET 0) c
 WHERE c.lexemes @@ phraseto_tsquery(coalesce(%(configurations)s::jsonb ->> v.language, 'simple')::regconfig,
                                     %(phrase)s)
"""
# How many versions there still are as they were indexed. No ordinal comes back.
THERE = """
SELECT count(*)
  FROM unnest(%(versions)s::int[], %(patches)s::bytea[]) AS w(ordinal, patches)
  JOIN knowledge_version v ON v.creator_id = %(creator)s AND v.ordinal = w.ordinal AND v.patches = w.patches
"""
# The passages around some others, `around` to each side. The sums come first: a sum may overflow, which is a way to
# leak, so beside a policy's table a condition with one in it would only be checked once a whole version is read.
NEIGHBOURS = """
SELECT c.version_id, c.position, c.id, c.text, c.page, c.heading, c.seconds
  FROM (SELECT version_id, position - %(around)s AS first, position + %(around)s AS last
          FROM unnest(%(versions)s::uuid[], %(positions)s::int[]) AS u(version_id, position) OFFSET 0) AS w
  JOIN knowledge_chunk c ON c.creator_id = %(creator)s AND c.version_id = w.version_id
   AND c.position BETWEEN w.first AND w.last
 WHERE NOT c.hidden
"""
