"""Where a page of documents begins: the last id of the one before, in a form that nobody is tempted to read."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from apps.knowledge.errors import CursorInvalid


def write_cursor(last: UUID) -> str:
    """The cursor behind a document."""
    return urlsafe_b64encode(last.bytes).rstrip(b"=").decode()


def read_cursor(cursor: str | None) -> UUID | None:
    """The document before which to go on. Raises `CursorInvalid` (422)."""
    if not cursor:
        return None
    try:
        return UUID(bytes=urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise CursorInvalid from error
