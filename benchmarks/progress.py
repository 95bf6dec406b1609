"""How far something is, for whoever waits for it."""

import sys
import time
from types import TracebackType
from typing import Self, TextIO

_BAR_WIDTH = 30
# On a terminal the line is drawn anew; a log should not be made of such lines.
_SECONDS_ON_A_TERMINAL, _SECONDS_IN_A_LOG = 0.1, 15.0


class Progress:
    """One line on stderr: drawn anew on a terminal, elsewhere written now and then and at the end."""

    def __init__(self, what: str, total: int, stream: TextIO | None = None) -> None:
        self._what, self._total = what, total
        self._stream = stream or sys.stderr
        self._moving = self._stream.isatty()
        self._done = 0
        self._shown_at = time.monotonic()

    def __enter__(self) -> Self:
        if self._moving:
            self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draw()
        if self._moving:
            self._stream.write("\n")

    def add(self) -> None:
        """One more is done."""
        self.show(self._done + 1)

    def show(self, done: int) -> None:
        """So many are done."""
        self._done = done
        pause = _SECONDS_ON_A_TERMINAL if self._moving else _SECONDS_IN_A_LOG
        if time.monotonic() - self._shown_at >= pause:
            self._draw()

    def _draw(self) -> None:
        self._shown_at = time.monotonic()
        count = f"{self._done} of {self._total}"
        if self._moving:
            share = self._done / self._total if self._total else 1.0
            bar = "#" * round(min(share, 1.0) * _BAR_WIDTH)
            self._stream.write(f"\r\033[2K  {self._what:<11} [{bar:.<{_BAR_WIDTH}}] {count}")
        else:
            self._stream.write(f"  {self._what}: {count}\n")
        self._stream.flush()
