"""What the words of a question are in the creator's index: as they are, completed, or corrected.

A word that no passage has is half-typed or misspelt. It is taken for the words that it begins; for want of such, and
unless it is a word of English, for the nearest one by letters (optimal string alignment: a letter too many, too few,
another one, or two swapped).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from rapidfuzz.distance import OSA

from apps.knowledge.embedding.files import known_words
from apps.knowledge.search.index import CONFIGURATION_NAMES
from apps.knowledge.search.postings import Holders, Places
from apps.knowledge.search.query import Query, parse
from apps.knowledge.search.statements import EVERYWHERE, LIVE
from shared.tenancy.reads import Rows, Steps
from shared.tenancy.scope import require_creator

# Shorter words are too near to too many others.
SHORTEST_PREFIX, SHORTEST_TYPO = 3, 4
# From so many letters on, two mistakes are forgiven.
LONG_WORD = 9
# So many words that a half-typed one may become are searched for.
COMPLETIONS = 10
# Of the nearest words, so many are weighed by how many passages have them.
_WEIGHED = 20
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LAST = "\U0010ffff"
_TOKEN = re.compile(r'[^\s"]+')

# Each word in every language that the creator's passages were cut in. A word that two languages cut alike is one
# lexeme.
_LEXEMES = """
SELECT t.place::int, l.lexeme, bool_or(p.found)
  FROM knowledge_searchindex s,
       LATERAL (SELECT DISTINCT coalesce(%(configurations)s::jsonb ->> u.language, 'simple') AS name
                  FROM unnest(s.languages) AS u(language)) c,
       unnest(%(words)s::text[]) WITH ORDINALITY AS t(word, place),
       LATERAL unnest(tsvector_to_array(to_tsvector(c.name::regconfig, t.word))) AS l(lexeme),
       LATERAL (SELECT EXISTS (SELECT 1 FROM knowledge_posting o
                                WHERE o.creator_id = %(creator)s AND o.lexeme = l.lexeme) AS found) p
 WHERE s.creator_id = %(creator)s
 GROUP BY t.place, l.lexeme ORDER BY t.place, l.lexeme
"""
# The lexemes of each word; how many entries the index has for them, which is about how many passages have it; and the
# first of these. What only versions have that are gone is no word any more, though it is not swept yet.
_WEIGHTS = """
SELECT t.place::int, l.lexemes, x.entries, x.first
  FROM knowledge_searchindex s,
       unnest(%(words)s::text[]) WITH ORDINALITY AS t(word, place),
       LATERAL (SELECT array_agg(DISTINCT e.lexeme) AS lexemes
                  FROM (SELECT DISTINCT coalesce(%(configurations)s::jsonb ->> u.language, 'simple') AS name
                          FROM unnest(s.languages) AS u(language)) c,
                       unnest(tsvector_to_array(to_tsvector(c.name::regconfig, t.word))) AS e(lexeme)) l,
       LATERAL (SELECT (coalesce(sum(octet_length(o.data)), 0) / 12)::int AS entries,
                       string_agg(o.data, '') FILTER (WHERE o.place <= 16) AS first
                  FROM (SELECT p.data, row_number() OVER () AS place
                          FROM knowledge_posting p
                         WHERE p.creator_id = %(creator)s AND p.lexeme = ANY(l.lexemes)) o) x
 WHERE s.creator_id = %(creator)s
"""
# Which model answers for the creator, whose vectors are in cells, and how many passages there are to look at: what the
# search itself would ask next, of everything.
_STANDING = """
SELECT s.model, s.cell_model,
       (SELECT coalesce(sum(v.indexed_passages), 0)::bigint FROM knowledge_version v
         WHERE v.creator_id = %(creator)s AND v.live)
  FROM knowledge_searchindex s WHERE s.creator_id = %(creator)s
"""
_LIVE = f"SELECT {LIVE} FROM {EVERYWHERE} AND v.ordinal IS NOT NULL"
_COMPLETIONS = """
SELECT text FROM knowledge_word
 WHERE creator_id = %(creator)s AND text >= %(from_{n})s AND text < %(to_{n})s ORDER BY text LIMIT 200
"""
# Words that may be near one which begins no other.
_ALIKE = """
SELECT a.text
  FROM (SELECT text FROM knowledge_word
         WHERE creator_id = %(creator)s AND text >= %(first_{n})s AND text < %(last_{n})s
           AND length(text) BETWEEN %(shortest_{n})s AND %(longest_{n})s
        UNION ALL
        SELECT text FROM knowledge_word WHERE creator_id = %(creator)s AND text = ANY(%(variants_{n})s::text[])) a
 WHERE NOT EXISTS (SELECT 1 FROM knowledge_word
                    WHERE creator_id = %(creator)s AND text >= %(from_{n})s AND text < %(to_{n})s)
"""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand one after the other. `groups`: the lexemes of each word; a passage has one of each group."""

    text: str
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Understood:
    """A question in the terms of the index.

    `meaning` is what to embed: the question with its corrections, and without what it excludes. Each of `terms` counts
    once towards the score: a passage has it when it has any of its lexemes. `model` is the one that answers for the
    creator at this moment, None for the primary: what embeds the meaning, and whose vectors it is compared with.
    `standing`: whose vectors are in cells, and how many passages answer, where that is known.
    """

    meaning: str
    corrected: str | None = None
    terms: tuple[tuple[str, ...], ...] = ()
    required: tuple[Phrase, ...] = ()
    excluded: tuple[Phrase, ...] = ()
    model: UUID | None = None
    standing: tuple[UUID | None, int] | None = None

    @property
    def lexemes(self) -> list[str]:
        """All that postings are needed of."""
        wanted = {lexeme for term in self.terms for lexeme in term}
        for phrase in (*self.required, *self.excluded):
            wanted.update(lexeme for group in phrase.groups for lexeme in group)
        return sorted(wanted)

    @property
    def sought(self) -> frozenset[str]:
        """What a passage is found for: the same without what is excluded."""
        phrases = (lexeme for phrase in self.required for group in phrase.groups for lexeme in group)
        return frozenset(lexeme for term in self.terms for lexeme in term).union(phrases)


@dataclass(slots=True)
class _Word:
    """A word as it was asked, its lexemes, and what it was taken for. `core` is its letters alone."""

    text: str
    core: str
    lexemes: list[str] = field(default_factory=list)
    known: bool = False
    instead: list[str] = field(default_factory=list)


def understand(text: str) -> Steps[Understood]:
    """Look the words of a question up in the creator's index."""
    query = parse(text)
    words = {word: _Word(word, _core(word)) for word in (*query.words, *_split(query.excluded))}
    rows, standing = yield [_lexemes(words.values()), (_STANDING, {"creator": require_creator()})]
    _note(words.values(), rows)
    loose = set(query.loose)
    strange = [word for word in words.values() if word.text in loose and word.lexemes and not word.known]
    if strange:
        yield from _take_for_others(strange)
    understood = _understood(text, query, words)
    if not standing:
        return understood
    ((model, cell_model, passages),) = standing
    return replace(understood, model=model, standing=(cell_model, passages))


def complete(text: str, limit: int) -> Steps[list[str]]:
    """The question with its last word completed, the most frequent first."""
    before, _, last = text.rpartition(" ")
    core = _core(last)
    if len(core) < 2:
        return []
    (rows,) = yield [(_COMPLETIONS.format(n=0), _range(core, 0))]
    found = [word for (word,) in rows]
    weighed = yield from _weigh(found)
    lead = f"{before} " if before else ""
    return [f"{lead}{word}" for word in _heaviest(found, weighed)[:limit]]


def _core(word: str) -> str:
    """A word without what stands around it, in small letters; "" unless it is letters alone."""
    core = word.strip("\"'’.,;:!?()[]{}«»„“”*").lower()
    return core if core.isalpha() else ""


def _split(parts: Iterable[str]) -> list[str]:
    return [word for part in parts for word in part.split()]


def _lexemes(words: Iterable[_Word]) -> tuple[str, dict[str, Any]]:
    return _LEXEMES, _values([word.text for word in words])


def _note(words: Iterable[_Word], rows: Rows) -> None:
    asked = list(words)
    for place, lexeme, known in rows:
        asked[place - 1].lexemes.append(lexeme)
        asked[place - 1].known |= known


def _take_for_others(words: Sequence[_Word]) -> Steps[None]:
    """Find out what each of some words that no passage has was meant to be."""
    completed = [word for word in words if len(word.core) >= SHORTEST_PREFIX]
    if not completed:
        return
    begun = [(_COMPLETIONS.format(n=n), _range(word.core, n)) for n, word in enumerate(completed)]
    spelt = known_words()  # "late" is no mistake for the "date" that some passage has
    doubtful = [
        (n, word) for n, word in enumerate(completed) if len(word.core) >= SHORTEST_TYPO and word.core not in spelt
    ]
    found = yield begun + [(_ALIKE.format(n=n), _neighbourhood(word.core, n)) for n, word in doubtful]
    candidates = {word.text: [text for (text,) in rows] for word, rows in zip(completed, found, strict=False)}
    misspelt = []
    for (_, word), rows in zip(doubtful, found[len(begun) :], strict=True):
        if not candidates[word.text]:
            misspelt.append(word)
            candidates[word.text] = _nearest(word.core, rows)
    weighed = yield from _weigh(sorted({text for texts in candidates.values() for text in texts}))
    for word in completed:
        best = _heaviest(candidates[word.text], weighed)
        word.instead = best[: 1 if word in misspelt else COMPLETIONS]
        if word.instead:
            word.lexemes = sorted({lexeme for text in word.instead for lexeme in weighed[text].lexemes})


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A word that passages have, about so many."""

    lexemes: list[str]
    passages: int


def _weigh(words: Sequence[str]) -> Steps[dict[str, _Weighed]]:
    """The words that passages have; without those that only passages have which answer no more."""
    if not words:
        return {}
    rows, ((live,),) = yield [(_WEIGHTS, _values(words)), (_LIVE, {"creator": require_creator()})]
    places = Places.of(live)
    return {
        words[place - 1]: _Weighed(lexemes, entries)
        for place, lexemes, entries, first in rows
        if first and len(Holders.of(first, places).numbers)
    }


def _heaviest(words: Iterable[str], weighed: dict[str, _Weighed]) -> list[str]:
    """Those that passages have, the most frequent first."""
    return sorted((word for word in words if word in weighed), key=lambda word: (-weighed[word].passages, word))


def _values(words: Sequence[str]) -> dict[str, Any]:
    return {"creator": require_creator(), "configurations": CONFIGURATION_NAMES, "words": list(words)}


def _range(core: str, number: int) -> dict[str, Any]:
    return {"creator": require_creator(), f"from_{number}": core, f"to_{number}": core + _LAST}


def _neighbourhood(core: str, number: int) -> dict[str, Any]:
    """Words with the same first letter and about as many; those with another one are written down one by one."""
    away = _forgiven(core)
    rest = core[1:]
    variants = {letter + rest for letter in _LETTERS} | {letter + core for letter in _LETTERS}
    variants |= {rest, core[1] + core[0] + core[2:]}
    return {
        **_range(core, number),
        f"first_{number}": core[0],
        f"last_{number}": core[0] + _LAST,
        f"shortest_{number}": len(core) - away,
        f"longest_{number}": len(core) + away,
        f"variants_{number}": sorted(variants),
    }


def _forgiven(core: str) -> int:
    return 2 if len(core) >= LONG_WORD else 1


def _nearest(core: str, rows: Rows) -> list[str]:
    """Of some words, those with the fewest mistakes between."""
    allowed = _forgiven(core)
    away = {text: OSA.distance(core, text, score_cutoff=allowed) for (text,) in rows}
    fewest = min(away.values(), default=allowed + 1)
    if fewest > allowed:
        return []
    return sorted(text for text, mistakes in away.items() if mistakes == fewest)[:_WEIGHED]


def _understood(text: str, query: Query, words: dict[str, _Word]) -> Understood:
    terms: dict[tuple[str, ...], None] = {}
    for one in query.words:
        word = words[one]
        if word.instead:
            terms[tuple(word.lexemes)] = None
        else:
            terms.update({(lexeme,): None for lexeme in word.lexemes})
    taken = [word for word in words.values() if word.instead]
    replaced = {word.text: word.text.lower().replace(word.core, word.instead[0]) for word in taken}
    corrected = _TOKEN.sub(lambda found: replaced.get(found[0], found[0]), text)
    return Understood(
        meaning=" ".join(replaced.get(one, one) for one in query.words),
        corrected=corrected if replaced else None,
        terms=tuple(terms),
        required=tuple(_phrases(query.phrases, words)),
        excluded=tuple(_phrases(query.excluded, words)),
    )


def _phrases(texts: Iterable[str], words: dict[str, _Word]) -> Iterator[Phrase]:
    """Those that any language has words of: "to be or not to be" has none in English, and asks for nothing."""
    for text in texts:
        groups = tuple(tuple(words[one].lexemes) for one in text.split() if words[one].lexemes)
        if groups:
            yield Phrase(text, groups)
