"""What can go wrong between a person and their documents."""

from shared.exceptions import NotFound, PayloadTooLarge, ValidationFailed


class DocumentNotFound(NotFound):
    """No such document."""

    code = "document_not_found"


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
