"""Cut sections into passages of a size that ranks well: about 200 tokens, so that title and text fit in 256."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from semantic_text_splitter import TextSplitter
from tokenizers import Tokenizer

from apps.knowledge.embedding.files import new_tokenizer
from apps.knowledge.extraction.sections import Section

# A passage is full from the first and never larger than the second.
CAPACITY = (140, 220)
# The splitter's time grows faster than its text: a megabyte at once takes 23 s, in blocks 5 s.
_BLOCK_CHARACTERS = 16_000
# The tokenizer counts a word of more than 100 characters as one unknown token, so endless "words" are broken.
_ENDLESS_WORD = re.compile(r"\S{400,}")
_WORD_PIECE = re.compile(r"\S{80}(?=\S)")


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk before it is stored. `page` is where it starts, and it never leaves that page."""

    text: str
    page: int | None
    heading: str
    tokens: int
    seconds: int | None = None


def cut_into_passages(sections: Sequence[Section]) -> list[Passage]:
    """Passages in reading order; none crosses a section, so each has one true page or heading.

    A text without a single break is cut too. Takes processor time: call it on a thread.
    """
    splitter = _splitter()
    passages = []
    for section in sections:
        texts = [text for block in _blocks(section.text) for text in splitter.chunks(block)]
        for text in _even_ends(texts):
            if any(character.isalnum() for character in text):
                passages.append(Passage(text, section.page, section.heading, count_tokens(text), section.seconds))
    return passages


def count_tokens(text: str) -> int:
    """How many tokens of the embedding model a text has."""
    return len(_tokenizer().encode(text, add_special_tokens=False).ids)


def _blocks(text: str) -> Iterator[str]:
    """A long text in parts that end where a paragraph, a line, a sentence or at least a word does."""
    text = _ENDLESS_WORD.sub(lambda word: _WORD_PIECE.sub(r"\g<0> ", word[0]), text)
    start = 0
    while len(text) - start > _BLOCK_CHARACTERS:
        end = start + _BLOCK_CHARACTERS
        for mark in ("\n\n", "\n", ". ", " "):
            found = text.rfind(mark, start + _BLOCK_CHARACTERS // 2, end)
            if found > 0:
                end = found + len(mark)
                break
        yield text[start:end]
        start = end
    yield text[start:]


def _even_ends(texts: list[str]) -> list[str]:
    """A section's last crumb joins the passage before it: alone it would match by accident and explain nothing."""
    if len(texts) > 1 and len(texts[-1]) < 80:
        return [*texts[:-2], f"{texts[-2]}\n{texts[-1]}"]
    return texts


@cache
def _tokenizer() -> Tokenizer:
    return new_tokenizer()


@cache
def _splitter() -> TextSplitter:
    return TextSplitter.from_huggingface_tokenizer(_tokenizer(), CAPACITY)
