"""Every reason why something a creator brought did not become a document that answers.

Reasons of reading are kept apart from the rest: the process that opens untrusted files knows no others.
"""

from apps.knowledge.extraction.failures import FAILURES as READING_FAILURES
from apps.knowledge.extraction.failures import Failure
from shared.security.fetching import every_failure

_FETCHING = [Failure(error.code, error.sentence(), error.action) for error in every_failure()]

_IMPORTING = [
    Failure(
        "content_elsewhere",
        "Another document has this content already.",
        "Delete one of the two, then process this one again.",
    ),
    Failure(
        "archive_unreadable",
        "This is not a zip file, or it is damaged.",
        "Pack the files into a zip file again and upload that.",
    ),
    Failure(
        "archive_too_many",
        "There are more files in this archive than the hub takes at once.",
        "Split it into smaller archives and upload those.",
    ),
    Failure(
        "archive_too_large",
        "Unpacked, this archive is larger than the hub takes at once.",
        "Split it into smaller archives and upload those.",
    ),
    Failure("entry_taken", "This content is in your documents already.", "Nothing needs to be done."),
    Failure(
        "entry_encrypted",
        "This file is protected with a password.",
        "Unpack the archive on your computer and upload the file.",
    ),
    Failure(
        "entry_archive",
        "This is an archive inside the archive.",
        "Unpack it on your computer and upload its files.",
    ),
    Failure(
        "entry_too_large",
        "This file is larger than the hub accepts.",
        "Split it into smaller files and upload those.",
    ),
    Failure(
        "entry_unreadable",
        "This file is damaged, or packed in a way that the hub does not read.",
        "Unpack the archive on your computer and upload the file.",
    ),
    Failure("entry_not_a_file", "This is a link, not a file.", "Upload the file that it leads to."),
]

FAILURES = READING_FAILURES | {failure.code: failure for failure in (*_FETCHING, *_IMPORTING)}
