"""Subtitles (.srt, .vtt): what is said, in stretches of about half a minute, each with the second it starts at."""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats.plain import decode
from apps.knowledge.extraction.sections import Section, normalise
from apps.knowledge.extraction.source import Source, whole

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
# <i>, <v Speaker>, <c.loud>, <00:01:02.000>; and {{\an8}}, which places a line on the screen.
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")
_NUMBER = re.compile(rf"^\s*\d+\s*\n(?=\s*{_TIME}\s*-->)", re.M)
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")
_FEWEST_REPEATS = 3
_ENOUGH_SECONDS, _MOST_SECONDS, _SILENCE_SECONDS = 30, 60, 3


@dataclass(slots=True)
class _Cue:
    start: float
    end: float
    lines: list[str]


def read_subtitles(source: Source, _report: Callable[[int, int], None]) -> list[Section]:
    """A section per 30 to 60 seconds, which ends where a sentence does or somebody falls silent."""
    cues = _once([cue for cue in _cues(normalise(decode(whole(source)))) if cue.lines])
    if not cues:
        raise ExtractionFailed("empty")
    return [
        Section(" ".join(line for cue in stretch for line in cue.lines), seconds=int(stretch[0].start))
        for stretch in _stretches(cues)
    ]


def _cues(text: str) -> Iterator[_Cue]:
    """Cues in order.

    In WebVTT an empty line ends a cue, and a note, a style or a name may follow; in SubRip only a number does.
    """
    strict = text.startswith("WEBVTT")
    cue: _Cue | None = None
    speaking = False
    for line in (text if strict else _NUMBER.sub("", text)).split("\n"):
        if timing := _TIMING.match(line):
            if cue:
                yield cue
            cue, speaking = _Cue(_seconds(timing, 1), _seconds(timing, 5), []), True
        elif strict and not line.strip():
            speaking = False
        elif cue and speaking and (said := _plain(line)):
            cue.lines.append(said)
    if cue:
        yield cue


def _seconds(timing: re.Match[str], group: int) -> float:
    hours, minutes, seconds, thousandths = (timing[group + place] or "0" for place in range(4))
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths.ljust(3, "0")) / 1000


def _plain(line: str) -> str:
    return " ".join(html.unescape(_MARKUP.sub("", line)).split())


def _once(cues: list[_Cue]) -> list[_Cue]:
    """Captions that roll up the screen show each line two or three times: of those, only the new lines are kept.

    Where few cues repeat the one before, somebody said the same thing twice.
    """
    repeated = [_overlap(before.lines, cue.lines) for before, cue in pairwise(cues)]
    times = sum(map(bool, repeated))
    if times < _FEWEST_REPEATS or times * 3 < len(cues):
        return cues
    fresh = [_Cue(cue.start, cue.end, cue.lines[count:]) for cue, count in zip(cues, [0, *repeated], strict=True)]
    return [cue for cue in fresh if cue.lines]


def _overlap(before: list[str], lines: list[str]) -> int:
    """How many of the first lines are the last ones of the cue before."""
    sizes = range(min(len(before), len(lines)), 0, -1)
    return next((size for size in sizes if before[-size:] == lines[:size]), 0)


def _stretches(cues: list[_Cue]) -> Iterator[list[_Cue]]:
    stretch: list[_Cue] = []
    for cue in cues:
        if stretch and _is_full(stretch, cue):
            yield stretch
            stretch = []
        stretch.append(cue)
    yield stretch


def _is_full(stretch: list[_Cue], following: _Cue) -> bool:
    last = stretch[-1]
    if following.end - stretch[0].start > _MOST_SECONDS:
        return True
    at_rest = _SENTENCE_END.search(last.lines[-1]) or following.start - last.end > _SILENCE_SECONDS
    return last.end - stretch[0].start >= _ENOUGH_SECONDS and bool(at_rest)
