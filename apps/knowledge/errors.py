"""What can go wrong between a person and their documents."""

from shared.exceptions import Conflict, NotFound, PayloadTooLarge, ServiceUnavailable, ValidationFailed


class DocumentNotFound(NotFound):
    """No such document."""

    code = "document_not_found"


class VersionNotFound(NotFound):
    """This document has no such version."""

    code = "version_not_found"


class VersionNotRestorable(Conflict):
    """This version never was ready, so there is nothing to go back to. Choose one that was."""

    code = "version_not_restorable"


class SearchInterrupted(ServiceUnavailable):
    """What this search reads changed again and again while it ran. Try again in a moment."""

    code = "search_interrupted"
    default_retry_after = 1


class SourceNotFound(NotFound):
    """This document was not imported from an address."""

    code = "source_not_found"


class ImportNotFound(NotFound):
    """No such import."""

    code = "import_not_found"


class PassageNotFound(NotFound):
    """This document has no such passage now. Processing it again gives its passages new ids: list them anew."""

    code = "passage_not_found"


class SearchNotFound(NotFound):
    """No such search. What was asked long ago is forgotten."""

    code = "search_not_found"


class ContentElsewhere(Conflict):
    """Another document has this content already. Delete one of the two first."""

    code = "content_elsewhere"


class ContentMissing(NotFound):
    """The stored file is no longer there. Delete the document and upload the file again."""

    code = "content_missing"


class UploadTooLarge(PayloadTooLarge):
    """This file is larger than the hub accepts."""

    code = "upload_too_large"


class FileMissing(ValidationFailed):
    """Send a file in the multipart field `file`."""

    code = "file_missing"

    def __init__(self) -> None:
        super().__init__(errors=[{"field": "file", "message": str(self.__doc__), "code": "missing"}])


class CursorInvalid(ValidationFailed):
    """This cursor is not one that the hub gave out. Start again without it."""

    code = "cursor_invalid"


class GoldenQuestionNotFound(NotFound):
    """No such golden question."""

    code = "golden_question_not_found"


class GoldenQuestionsFull(Conflict):
    """There is no room for another golden question. Delete one that matters less."""

    code = "golden_questions_full"


class NoGoldenQuestions(Conflict):
    """There are no golden questions yet. Pin one first."""

    code = "no_golden_questions"


class ModelNotFound(NotFound):
    """No such embedding model is configured."""

    code = "model_not_found"


class TrialNotFound(NotFound):
    """The golden questions were not tried with this model yet. Start a trial."""

    code = "trial_not_found"


class ModelNotReady(Conflict):
    """This model has not seen all passages yet. It goes on by itself; switch when none is left."""

    code = "model_not_ready"
