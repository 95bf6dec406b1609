"""Names that people give to files and documents, made safe to show anywhere."""

import re

from shared.text import clean_line

LONGEST_NAME = 200

_PATH_SEPARATORS = re.compile(r"[/\\]")


def display_name(name: str) -> str:
    """A file's own name: the last part of a path, visible characters only, at most 200 of them.

    Never used to build a path; it is what pages show and what a download is called.
    """
    last = _PATH_SEPARATORS.split(clean_line(name))[-1].strip(" .")
    if len(last) > LONGEST_NAME:
        stem, dot, suffix = last.rpartition(".")
        tail = dot + suffix if stem and len(suffix) <= 10 else ""
        last = last[: LONGEST_NAME - len(tail)] + tail
    return last or "document"


def title_of(filename: str) -> str:
    """The title of a document whose uploader gave none: the file's name without its suffix."""
    stem, _, suffix = filename.rpartition(".")
    return stem if stem and len(suffix) <= 10 else filename
