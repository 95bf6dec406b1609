"""Which language a text is in, and the text search configuration of Postgres that stems it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

# A text too short to tell its language is most likely in this one.
DEFAULT_LANGUAGE = "en"
CONFIGURATIONS: Mapping[str, str] = MappingProxyType(
    {
        "ar": "arabic",
        "ca": "catalan",
        "da": "danish",
        "de": "german",
        "el": "greek",
        "en": "english",
        "es": "spanish",
        "et": "estonian",
        "eu": "basque",
        "fi": "finnish",
        "fr": "french",
        "ga": "irish",
        "hi": "hindi",
        "hu": "hungarian",
        "hy": "armenian",
        "id": "indonesian",
        "it": "italian",
        "lt": "lithuanian",
        "ms": "indonesian",  # Malay: the same affixes, and short texts are easily taken for each other
        "nb": "norwegian",
        "ne": "nepali",
        "nl": "dutch",
        "nn": "norwegian",
        "no": "norwegian",
        "pt": "portuguese",
        "ro": "romanian",
        "ru": "russian",
        "sr": "serbian",
        "sv": "swedish",
        "ta": "tamil",
        "tr": "turkish",
        "yi": "yiddish",
    }
)
_FEWEST_LETTERS = 20
# A text is judged piece by piece, so that a page in another language, or names in another script, do not decide.
_PIECE_CHARACTERS = 300
_MOST_PIECES = 40
# So many pieces from all over a text decide without the rest when they are nearly all in one language.
_FIRST_PIECES, _NEARLY_ALL = 4, 0.9
_OTHER_CODES = {"iw": "he", "fil": "tl"}


def detect_language(text: str) -> str:
    """The ISO 639-1 code of the language that most of a text is in; "" where it cannot be told.

    The same text always gives the same answer. Takes about 0.1 ms for 300 characters, 0.4 ms for most longer texts and
    never more than 10 ms.
    """
    from gcld3 import NNetLanguageIdentifier

    identifier = NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=_PIECE_CHARACTERS * 4)
    votes: Counter[str] = Counter()  # weights, not numbers
    for judged, piece in enumerate(_from_all_over(list(_pieces(text)))):
        if judged == _FIRST_PIECES and max(votes.values(), default=0.0) > votes.total() * _NEARLY_ALL:
            break
        if sum(map(str.isalpha, piece)) >= _FEWEST_LETTERS:
            for found in identifier.FindTopNMostFreqLangs(piece, 3):
                if found.is_reliable:
                    votes[found.language] += found.proportion * found.probability * len(piece)
    best = max(votes, key=lambda language: votes[language], default="")
    code = _OTHER_CODES.get(best, best)
    # "und", "haw" and "ru-Latn", which no stemmer knows, are none.
    return code if len(code) == 2 else ""


def configuration_of(language: str) -> str:
    """The text search configuration for a language; "simple", which stems nothing, for those Postgres has none for."""
    return CONFIGURATIONS.get(language, "simple")


def _from_all_over(pieces: list[str]) -> Iterator[str]:
    """The pieces, some from all over the text first."""
    step = max(1, len(pieces) // _FIRST_PIECES)
    for start in range(step):
        yield from pieces[start::step]


def _pieces(text: str) -> Iterator[str]:
    """A short text whole, a long one in pieces from all over it; the last piece takes the rest."""
    count = max(1, len(text) // _PIECE_CHARACTERS)
    if count == 1:
        yield text
        return
    taken = min(count, _MOST_PIECES)
    for number in range(taken):
        start = number * (len(text) - _PIECE_CHARACTERS) // max(1, taken - 1)
        yield text[start : start + _PIECE_CHARACTERS]
