"""Every reason why a document can fail, each as one plain sentence and what to do about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """What a creator reads next to a failed document."""

    code: str
    sentence: str
    action: str


FAILURES = {
    failure.code: failure
    for failure in (
        Failure(
            "password_protected",
            "This file is protected with a password.",
            "Save a copy without the password and upload the copy.",
        ),
        Failure(
            "copy_protected",
            "This book is protected against copying (DRM), so that only its seller's program can open it.",
            "Upload a copy without the protection.",
        ),
        Failure(
            "encrypted_mail",
            "This e-mail is encrypted.",
            "Open it in your mail program, save its text and upload that.",
        ),
        Failure("empty", "There is no text in this file.", "Check that it is the right file and upload it again."),
        Failure(
            "image_only",
            "This file holds only images or blank pages, and this hub has no text recognition (OCR) installed.",
            "Run it through text recognition on your side and upload the result.",
        ),
        Failure(
            "ocr_empty",
            "This file holds only images or blank pages, and text recognition (OCR) found no text in them.",
            "Check that the pages are upright and sharp; scan them again at 300 dots per inch and upload that.",
        ),
        Failure(
            "ocr_too_long",
            "This file has more scanned pages than the hub runs through text recognition (OCR).",
            "Split it into smaller files and upload those.",
        ),
        Failure(
            "archive_bomb",
            "This file unpacks to far more than a document of its kind holds.",
            "Open it on your computer, save it again under a new name and upload that.",
        ),
        Failure(
            "corrupt",
            "This file is damaged and cannot be read.",
            "Open it on your computer, save it again and upload the new copy.",
        ),
        Failure(
            "unsupported_type",
            "This is none of the files that the hub reads: PDF, Word (.docx), PowerPoint (.pptx), Excel (.xlsx), HTML, "
            "EPUB, text, Markdown, e-mail (.eml), subtitles (.srt, .vtt).",
            "Save it in one of these formats and upload that; its name alone does not make it one.",
        ),
        Failure(
            "too_slow",
            "Reading this file takes longer than the hub allows.",
            "Split it into smaller files and upload those.",
        ),
        Failure(
            "too_big",
            "Reading this file needs more memory than the hub allows.",
            "Split it into smaller files, or remove large images, and upload the result.",
        ),
        Failure(
            "file_missing",
            "The stored file is no longer there.",
            "Delete this document and upload the file again.",
        ),
        Failure(
            "file_changed",
            "The stored file is no longer the one that was uploaded.",
            "Upload the file again, and tell the operator of this hub.",
        ),
        Failure(
            "not_searchable",
            "The text was stored, but a search did not find it.",
            "Process the document again; if that does not help, tell the operator of this hub.",
        ),
        Failure(
            "internal",
            "Something went wrong on our side while this file was processed.",
            "Process the document again in a while; if that does not help, tell the operator of this hub.",
        ),
    )
}


class ExtractionFailed(Exception):
    """A document cannot be processed, and trying again would not help."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.failure = FAILURES[code]
