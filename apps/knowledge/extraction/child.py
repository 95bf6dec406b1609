"""What a process forked by `server.py` does: one job, inside the sandbox, then it ends.

A job is `{"do": ..., "parent": process id, "seconds": ..., "memory_bytes": ...}` and more:

- read: `path`, `media_type`. Answers one JSON object a line: `{"progress": [done, total]}` as pages are read, then
  `{"section": [text, page, heading, seconds]}` for each, then `{"language": "en"}`; or `{"failure": code}`.
- serve: many small files, one after another. Each comes on `answer` as `{"media_type": ..., "bytes": n}` on a line and
  that many bytes; the answer is that of `read`, without progress. Ends after the first that it could not read.
- draw: `path`, `first`, `count`. Answers `{"picture": [page, pages in all, bytes]}` and that many bytes of PGM, each.
- tell: which language the text is in that is read from `answer`. Answers `{"language": "en"}`.
- recognise: `arguments` of Tesseract, which this process becomes: it reads a picture from `answer` and writes text.

Whatever else happens, the parent judges by how the process ended.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from math import sqrt
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from apps.knowledge.extraction import sandbox
from apps.knowledge.extraction.archives import check_archive
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats import read_sections
from apps.knowledge.extraction.language import detect_language
from apps.knowledge.extraction.source import Source
from shared.config.env_constants import bare_environment

# Resolution that Tesseract is made for, and what a page may be at most: an A3 sheet of it.
DOTS_PER_INCH = 300
MAX_PIXELS = 20_000_000
# Tesseract refuses a side of 32,768 and more.
_LONGEST_SIDE = 32_000
_POINTS_PER_INCH = 72
_ARCHIVES = ("application/vnd.openxmlformats-officedocument.", "application/epub+zip")
# Progress is for people: more often than this only costs.
_PROGRESS_SECONDS = 0.05

type Say = Callable[[dict[str, Any]], None]


def perform(job: dict[str, Any], answer: int) -> None:
    """Give everything up, do the job, answer on the descriptor `answer`. Never returns from recognising."""
    limits = {name: job[name] for name in ("seconds", "memory_bytes", "parent")}
    if job["do"] == "recognise":
        program = Path(job["arguments"][0])
        sandbox.enter(**limits, programs=True, readable=(program, program.resolve()))
        become(job["arguments"], answer)
    path = Path(job["path"]) if "path" in job else None
    sandbox.enter(**limits, readable=(path,) if path else ())
    with open(answer, "wb") as out:
        try:
            if job["do"] == "serve":
                serve(answer, _sayer(out))
            elif path is None:
                tell_language(answer, _sayer(out))
            elif job["do"] == "read":
                read(path, job["media_type"], _sayer(out))
            else:
                for line, picture in draw(path, job["first"], job["count"]):
                    out.write(orjson.dumps(line) + b"\n")
                    out.write(picture)
        except ExtractionFailed as failed:
            _sayer(out)({"failure": failed.failure.code})
        except MemoryError:
            _sayer(out)({"failure": "too_big"})


def serve(given: int, say: Say) -> None:
    """Say what each of some files holds, which come in on the descriptor `given`, until there are no more."""
    with open(given, "rb", closefd=False) as source:
        for line in source:
            asked = orjson.loads(line)
            read(
                source.read(asked["bytes"]), asked["media_type"], lambda said: None if "progress" in said else say(said)
            )


def read(file: Source, media_type: str, say: Say) -> None:
    """Say what a file holds."""
    if media_type.startswith(_ARCHIVES):
        check_archive(file)
    sections = read_sections(file, media_type, report=_reporter(say))
    for section in sections:
        say({"section": [section.text, section.page, section.heading, section.seconds]})
    say({"language": detect_language("\n".join(section.text for section in sections))})


def tell_language(given: int, say: Say) -> None:
    """Say which language a text is in, which comes in on the descriptor `given`."""
    with open(given, "rb", closefd=False) as source:
        say({"language": detect_language(source.read().decode("utf-8", "replace"))})


def draw(path: Path, first: int, count: int) -> Iterable[tuple[dict[str, Any], bytes]]:
    """Pages of a PDF in grey, from the `first` (which is 0) on. A huge page is drawn with fewer dots."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
        pages = len(document)
        for index in range(first, min(first + count, pages)):
            page = document[index]
            picture = _pgm(page.render(scale=_scale(*page.get_size()), grayscale=True))
            page.close()
            yield {"picture": [index + 1, pages, len(picture)]}, picture
    except pypdfium2.PdfiumError as error:
        raise ExtractionFailed("corrupt") from error


def become(arguments: list[str], answer: int) -> None:
    """Run a program in place of this process: its input and its output are `answer`, its threads one."""
    os.dup2(answer, 0)
    os.dup2(answer, 1)
    os.close(answer)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the program would too
    os.execve(arguments[0], arguments, bare_environment(OMP_THREAD_LIMIT="1"))


def _sayer(out: BinaryIO) -> Say:
    def say(said: dict[str, Any]) -> None:
        out.write(orjson.dumps(said) + b"\n")
        if "section" not in said:
            out.flush()

    return say


def _reporter(say: Say) -> Callable[[int, int], None]:
    said = 0.0

    def report(done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if done >= total or now - said >= _PROGRESS_SECONDS:
            said = now
            say({"progress": [done, total]})

    return report


def _scale(width: float, height: float) -> float:
    """How many dots a point gets."""
    width, height = max(width, 1.0), max(height, 1.0)
    usual, longest = DOTS_PER_INCH / _POINTS_PER_INCH, _LONGEST_SIDE / max(width, height)
    return min(usual, longest, sqrt(MAX_PIXELS / (width * height)))


def _pgm(bitmap: Any) -> bytes:
    """A grey picture in the plainest of formats: nothing is compressed, so nothing can unpack to more."""
    width, height, stride = bitmap.width, bitmap.height, bitmap.stride
    dots = memoryview(bitmap.buffer)
    rows = dots if stride == width else b"".join(dots[row * stride : row * stride + width] for row in range(height))
    return b"P5 %d %d 255\n" % (width, height) + bytes(rows)
