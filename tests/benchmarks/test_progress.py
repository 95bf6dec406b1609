import io

import pytest

from benchmarks import progress
from benchmarks.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_on_a_terminal_one_line_is_drawn_anew(clock):
    screen = Terminal()

    with Progress("uploading", 4, screen) as shown:
        for _ in range(4):
            clock[0] += 1
            shown.add()

    drawn = screen.getvalue()
    assert drawn.count("\n") == 1
    assert drawn.endswith("\n")
    assert [line.rpartition("]")[2] for line in drawn.strip().split("\r\033[2K")] == [
        f" {done} of 4" for done in (0, 1, 2, 3, 4, 4)
    ]


def test_the_bar_grows_with_what_is_done(clock):
    screen = Terminal()

    with Progress("asking", 2, screen) as shown:
        clock[0] += 1
        shown.show(1)

    assert f"[{'#' * 15}{'.' * 15}] 1 of 2" in screen.getvalue()


def test_elsewhere_a_line_is_written_now_and_then_and_at_the_end(clock):
    log = io.StringIO()

    with Progress("asking", 100, log) as shown:
        for _ in range(100):
            clock[0] += 0.25
            shown.add()

    assert log.getvalue().splitlines() == ["  asking: 60 of 100", "  asking: 100 of 100"]


def test_nothing_to_do_is_done_and_told_on_stderr(capsys):
    with Progress("asking", 0):
        pass

    assert capsys.readouterr().err == "  asking: 0 of 0\n"


def test_nothing_to_do_fills_the_bar(clock):
    screen = Terminal()

    with Progress("asking", 0, screen):
        pass

    assert f"[{'#' * 30}] 0 of 0" in screen.getvalue()
