"""Documents and questions for `make search-trial`. Each passage says by a mark of its own which one it is."""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass

_ENGLISH = (
    "harbour lighthouse keepers evening ledger copper gardens violin winter markets bridges letters captain orchard "
    "signal candles quarry meadow lantern timber voyage parish weaver anchor chimney barley ferry mountain glass "
    "counted repairs watching carries remember painted follows measuring opened crosses selling mended"
)
_GERMAN = (
    "Hafen Leuchtturm Abende Kupfer Gärten Geige Winter Märkte Brücken Briefe Kapitän Obstgarten Kerzen Steinbruch "
    "Wiese Laterne Reise Weber Anker Schornstein Gerste Fähre Berge Glas zählte trägt erinnern malten folgt öffnete"
)
# In no passage, so that what a passage says and what its title says can be told apart.
_TITLES = "almanac bulletin chronicle digest gazette herald inventory journal manual notebook register treatise"
WORDS, TITLES = tuple(_ENGLISH.split()), tuple(_TITLES.split())
_JOINTS = "the a of under behind before with and slowly", "der die und unter vor mit"
_MARK = re.compile(r"\bc(\d+)d(\d+)p(\d+)r(\d+)\b")
_EDIT = re.compile(r"\bedit(\d+)\b")
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprtvz" for vowel in "aiou"]
_FREQUENT_FIRST = 0.6
_EVERY_SO_MANIETH_IS_GERMAN = 6

# A passage's place in its document, and how often what stands there was written anew.
type Content = dict[int, int]


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """Which passage a text is: of which creator and document, at which place, in which wording."""

    creator: int
    document: int
    place: int
    revision: int

    def __str__(self) -> str:
        return f"c{self.creator}d{self.document}p{self.place}r{self.revision}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in parts; all of `words` and of `phrases` count. Where to look: a document's id, a tag."""

    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    document: str | None = None
    tag: str | None = None

    @property
    def text(self) -> str:
        phrases = (f'"{phrase}"' for phrase in self.phrases)
        excluded = (f'-"{part}"' if " " in part else f"-{part}" for part in self.excluded)
        return " ".join([*self.words, *phrases, *excluded])


def marks_in(text: str) -> set[Mark]:
    """The passages that a text is, or pieces of several."""
    return {Mark(*map(int, found)) for found in _MARK.findall(text)}


def edit_in(text: str) -> int | None:
    """Which edit a text is of; None for one that nobody has edited."""
    found = _EDIT.search(text)
    return int(found[1]) if found else None


def name_of(creator: int, document: int) -> str:
    """A word of letters that the first passage of a document has and no other document. Its beginning tells as much."""
    number, name = document, ""
    for _ in range(3):
        number, digit = divmod(number, len(_SYLLABLES))
        name += _SYLLABLES[digit]
    return f"{name}{_SYLLABLES[creator]}x"


def passage(mark: Mark, chance: random.Random, edit: int | None = None) -> str:
    """What stands at a place, below its heading. The same every time it is written, but for edits."""
    german = mark.document % _EVERY_SO_MANIETH_IS_GERMAN == 0
    words, joints = (_GERMAN if german else _ENGLISH).split(), _JOINTS[german].split()
    weights = [1 / (number + 1) ** _FREQUENT_FIRST for number in range(len(words))]
    said = chance.choices(words, weights, k=chance.randint(12, 40))
    body = " ".join(f"{chance.choice(joints)} {word}" if chance.random() < 0.4 else word for word in said)
    name = f" {name_of(mark.creator, mark.document)}" if mark.place == 0 else ""
    edited = "" if edit is None else f" edit{edit}"
    return f"## Part {mark.place}\n\n{mark} {said[0]} {body}{name}{edited}."


def sheet(creator: int, document: int, content: Content) -> bytes:
    """A Markdown file of so many passages."""
    marks = [Mark(creator, document, place, revision) for place, revision in sorted(content.items())]
    return "\n\n".join(passage(mark, random.Random(str(mark))) for mark in marks).encode()


def second_word(mark: Mark) -> str:
    """What follows a passage's mark, when nobody has edited it."""
    return passage(mark, random.Random(str(mark))).split()[4]


def title(chance: random.Random) -> str:
    return " ".join(chance.sample(TITLES, 3)).capitalize()


def question(chance: random.Random, names: Iterable[str]) -> Asked:
    """Something that many passages answer, in one of many ways of asking."""
    words = tuple(chance.choices(WORDS, k=chance.randint(1, 4)))
    named = sorted(names)
    kind = chance.randrange(6)
    if kind == 1:
        return Asked(words, excluded=(chance.choice(WORDS),))
    if kind == 2:
        return Asked(words[1:], phrases=(f"{chance.choice(WORDS[:6])} {chance.choice(WORDS[:6])}",))
    if kind == 3:
        return Asked(words, excluded=(f"{chance.choice(WORDS[:6])} {chance.choice(WORDS[:6])}",))
    if kind == 4 and named:
        return Asked((*words[1:], chance.choice(named)[:-2]))
    if kind == 5:
        return Asked((*words, chance.choice(TITLES)))
    return Asked(words)
