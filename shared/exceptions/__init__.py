"""Everything that can go wrong with a request, and its one rendering per door."""

from shared.exceptions.errors import (
    BadRequest,
    Conflict,
    HubError,
    InternalError,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    ServiceUnavailable,
    StorageFull,
    UnsupportedMediaType,
    ValidationFailed,
)
from shared.exceptions.mapping import DatabaseBusy, DatabaseUnavailable, from_exception, from_status
from shared.exceptions.rendering import close_code, page_response, problem_body, problem_response

__all__ = [
    "BadRequest",
    "Conflict",
    "DatabaseBusy",
    "DatabaseUnavailable",
    "HubError",
    "InternalError",
    "MethodNotAllowed",
    "NotAuthenticated",
    "NotFound",
    "PayloadTooLarge",
    "PermissionDenied",
    "RateLimited",
    "ServiceUnavailable",
    "StorageFull",
    "UnsupportedMediaType",
    "ValidationFailed",
    "close_code",
    "from_exception",
    "from_status",
    "page_response",
    "problem_body",
    "problem_response",
]
