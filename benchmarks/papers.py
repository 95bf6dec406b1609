"""Documents made at run time, small and middle, of five formats. Each has a word that stands in no other."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from apps.knowledge import media_types
from tests.knowledge.files import docx, pdf

KINDS = {
    "txt": media_types.TEXT,
    "md": media_types.MARKDOWN,
    "html": media_types.HTML,
    "docx": media_types.DOCX,
    "pdf": media_types.PDF,
}
_TEXT = (
    "harbour lighthouse keeper evening ledger copper garden violin winter market bridge letter captain orchard "
    "signal candle quarry meadow lantern timber voyage parish weaver anchor chimney barley ferry mountain glass "
    "counts repairs watches carries remembers paints follows measures opens crosses sells mends the a every under "
    "behind before slowly often quietly twice"
)
_WORDS = _TEXT.split()
_SENTENCES_OF_A_PARAGRAPH, _WORDS_OF_A_SENTENCE, _LINES_OF_A_PAGE = 5, 12, 40


@dataclass(frozen=True, slots=True)
class Paper:
    """A file and the word by which a search finds it."""

    name: str
    content: bytes
    word: str

    @property
    def media_type(self) -> str:
        return KINDS[self.name.rpartition(".")[2]]


def papers(seed: int, *, small: tuple[int, int] = (1, 4), middle: tuple[int, int] = (8, 24)) -> Iterator[Paper]:
    """Papers without end, the same for the same seed; every fourth is a middle one. The ranges are of paragraphs."""
    chance = random.Random(seed)
    number = 0
    while True:
        paragraphs = chance.randint(*(middle if number % 4 == 3 else small))
        yield _paper(number, list(KINDS)[number % len(KINDS)], paragraphs, chance)
        number += 1


def _paper(number: int, kind: str, paragraphs: int, chance: random.Random) -> Paper:
    word = f"paper{number:05}"
    texts = [_paragraph(chance) for _ in range(paragraphs)]
    texts[0] = f"This is {word}. {texts[0]}"
    return Paper(f"{word}.{kind}", _written(kind, f"About {word}", texts), word)


def _paragraph(chance: random.Random) -> str:
    sentences = (" ".join(chance.choices(_WORDS, k=_WORDS_OF_A_SENTENCE)) for _ in range(_SENTENCES_OF_A_PARAGRAPH))
    return " ".join(f"{sentence.capitalize()}." for sentence in sentences)


def _written(kind: str, title: str, texts: list[str]) -> bytes:
    if kind == "docx":
        return docx(("Heading1", title), *texts)
    if kind == "pdf":
        lines = [f"{sentence}." for text in texts for sentence in text.rstrip(".").split(". ")]
        return pdf(*("\n".join(lines[at : at + _LINES_OF_A_PAGE]) for at in range(0, len(lines), _LINES_OF_A_PAGE)))
    if kind == "html":
        body = "".join(f"<p>{text}</p>" for text in texts)
        return f"<!doctype html><title>{title}</title><h1>{title}</h1>{body}".encode()
    lead = f"# {title}\n\n" if kind == "md" else ""
    return (lead + "\n\n".join(texts)).encode()
