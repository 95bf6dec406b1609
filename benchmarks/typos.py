"""Slips of the finger, one in each query, so that what they cost can be measured."""

import random
import re
import string

_WORD = re.compile(r"[^\W\d_]{4,}")
_SLIPS = ("drop", "double", "replace", "swap")


def mistype(text: str, chance: random.Random) -> str:
    """The text with one slip: a letter left out, doubled or mistaken for another, or two neighbours swapped.

    It happens in a word of four letters or more; without one the text stays as it is. Swapped or mistaken letters
    always differ by more than their case, since no search would notice that.
    """
    words = list(_WORD.finditer(text))
    if not words:
        return text
    word = chance.choice(words)
    return text[: word.start()] + _slip(word[0], chance) + text[word.end() :]


def _slip(word: str, chance: random.Random) -> str:
    swaps = [at for at in range(len(word) - 1) if word[at].casefold() != word[at + 1].casefold()]
    kind = chance.choice(_SLIPS if swaps else _SLIPS[:-1])
    at = chance.choice(swaps) if kind == "swap" else chance.randrange(len(word))
    letter = word[at]
    if kind == "swap":
        return word[:at] + word[at + 1] + letter + word[at + 2 :]
    others = [other for other in string.ascii_lowercase if other != letter.casefold()]
    instead = {"drop": "", "double": letter * 2, "replace": chance.choice(others)}
    return word[:at] + instead[kind] + word[at + 1 :]
