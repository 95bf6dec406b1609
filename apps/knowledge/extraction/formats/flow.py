"""Running text put together from pieces, with the breaks that blocks make."""

import re

_SPACES = re.compile(r"[ \t\n\r\f\v]+")


class Flow:
    """Text as it is read: spaces collapse, and of several breaks asked for the widest counts."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._breaks = 0
        self._space = False

    def add(self, text: str) -> None:
        """Running text, whose line ends are spaces."""
        text = _SPACES.sub(" ", text)
        if text.startswith(" "):
            self._space = True
            text = text[1:]
        if not text:
            return
        self._open()
        self._space = text.endswith(" ")
        self._parts.append(text.rstrip(" "))

    def add_as_it_is(self, text: str) -> None:
        """Text whose spaces and line ends are meant."""
        if text:
            self._open()
            self._parts.append(text)

    def end_line(self) -> None:
        """What follows starts on a line of its own."""
        self._breaks = max(self._breaks, 1)

    def end_paragraph(self) -> None:
        """What follows starts after an empty line."""
        self._breaks = 2

    def _open(self) -> None:
        if self._parts:
            self._parts.append("\n" * self._breaks or " " * self._space)
        self._breaks, self._space = 0, False

    def __str__(self) -> str:
        return "".join(self._parts)


def row(cells: list[str]) -> str:
    """A row of a table: "a | b | c".

    A cell that is alone in its row, or that holds paragraphs, is there for the layout, and reads as text.
    """
    cells = [cell.strip() for cell in cells]
    filled = [cell for cell in cells if cell]
    if len(filled) < 2 or any("\n\n" in cell for cell in filled):
        return "\n\n".join(filled)
    while not cells[-1]:
        cells.pop()
    return " | ".join(" ".join(cell.split()) for cell in cells)
