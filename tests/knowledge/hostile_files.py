"""What a hostile file is and how reading it has to end; the families are in the modules beside."""

from collections.abc import Callable
from typing import NamedTuple

# Enough for a reader and a small file, and soon used up.
LITTLE = 56 * 1024**2


class Hostile(NamedTuple):
    """A kind of file: the name it is uploaded under, its content, and its end.

    `ends` is the code of a failure or, for a file that is read all the same, a `Says`.
    """

    title: str
    filename: str
    make: Callable[[], bytes]
    ends: "str | Says"
    memory_bytes: int = 256 * 1024**2

    def __str__(self) -> str:
        return self.title


class Says(NamedTuple):
    """The text that comes out: `text` is all of it, or how it begins where `length` says how long it is."""

    text: str
    length: int = 0

    def is_said_by(self, text: str) -> bool:
        return text.startswith(self.text) and len(text) == (self.length or len(self.text))
