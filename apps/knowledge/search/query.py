"""What a question asks for: words, "phrases in quotes" that must be there, and -words that must not."""

import re
from dataclasses import dataclass

_PARTS = re.compile(r'(?P<no>(?<!\S)-)?(?:"(?P<phrase>[^"]*)"|(?P<word>[^\s"]+))')
_MINUS = re.compile(r"(?<!\S)-+")


@dataclass(frozen=True, slots=True)
class Query:
    """A question in parts.

    `words` are all that count towards the score, in order; those of `phrases` are among them, and `loose` are those
    that are not. `excluded` are words and phrases.
    """

    words: tuple[str, ...]
    loose: tuple[str, ...]
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


def parse(text: str) -> Query:
    """Read a question. A quotation mark without its partner, and a lone "-", are text like any other.

    Without a word besides those excluded, nothing is excluded: `-refunds` alone asks for refunds.
    """
    if text.count('"') % 2:
        before, _, after = text.rpartition('"')
        text = f"{before} {after}"
    words: list[str] = []
    loose: list[str] = []
    phrases: list[str] = []
    excluded: list[str] = []
    for part in _PARTS.finditer(text):
        said = part["word"] if part["phrase"] is None else part["phrase"].strip()
        if part["no"] and said:
            excluded.append(said)
            continue
        words += said.split()
        if part["phrase"] is None:
            loose.append(said)
        elif said:
            phrases.append(said)
    if not words:
        words = [word for said in excluded for word in said.split()]
        return Query(tuple(words), tuple(words))
    return Query(tuple(words), tuple(loose), tuple(phrases), tuple(excluded))


def plain(text: str) -> str:
    """A text as a question that asks for its words, whatever marks it has: no phrases, and nothing excluded."""
    return _MINUS.sub(" ", text.replace('"', " "))
