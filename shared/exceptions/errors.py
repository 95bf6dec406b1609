"""The tree of errors. A class's docstring is the sentence that the client reads."""

import inspect
import math
from http import HTTPStatus
from typing import ClassVar


class HubError(Exception):
    """Something went wrong."""

    # Not an error that anybody raises as it is: 500 unless a subclass says better.
    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """`detail` replaces the docstring; `errors` are `{field, message, code}`."""
        self.detail = detail or self.sentence()
        self.errors = errors or []
        self.headers = headers or {}
        super().__init__(self.detail)

    @classmethod
    def sentence(cls) -> str:
        """The class's docstring in one line, or its parent's."""
        return " ".join((inspect.getdoc(cls) or HTTPStatus(cls.status).phrase).split())

    @property
    def title(self) -> str:
        """The name of the status, the same for every error that has it (RFC 9457, `about:blank`)."""
        return HTTPStatus(self.status).phrase


class BadRequest(HubError):
    """The request cannot be understood."""

    status = 400
    code = "bad_request"


class NotAuthenticated(HubError):
    """Sign in first."""

    status = 401
    code = "not_authenticated"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        # RFC 9110, section 11.6.1: a 401 must say how to authenticate.
        super().__init__(detail, errors=errors, headers={"WWW-Authenticate": "Bearer", **(headers or {})})


class PermissionDenied(HubError):
    """You may not do this."""

    status = 403
    code = "permission_denied"


class NotFound(HubError):
    """No such thing."""

    status = 404
    code = "not_found"


class MethodNotAllowed(HubError):
    """This address does not take this method."""

    status = 405
    code = "method_not_allowed"


class Conflict(HubError):
    """This does not fit with what is there already."""

    status = 409
    code = "conflict"


class PayloadTooLarge(HubError):
    """The request is larger than the hub accepts."""

    status = 413
    code = "payload_too_large"


class UnsupportedMediaType(HubError):
    """The hub does not take this type of content."""

    status = 415
    code = "unsupported_media_type"


class ValidationFailed(HubError):
    """Some of the values are not right."""

    status = 422
    code = "validation_failed"


class _RetryLater(HubError):
    """Try again later."""

    default_retry_after: ClassVar[int] = 1

    def __init__(
        self,
        detail: str | None = None,
        *,
        retry_after: float | None = None,
        errors: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """`retry_after` in seconds, rounded up: a client that comes back then must not be early."""
        self.retry_after = max(1, math.ceil(self.default_retry_after if retry_after is None else retry_after))
        super().__init__(detail, errors=errors, headers={"Retry-After": str(self.retry_after), **(headers or {})})


class RateLimited(_RetryLater):
    """Too many requests. Wait a moment and try again."""

    status = 429
    code = "rate_limited"


class ServiceUnavailable(_RetryLater):
    """The hub cannot do this right now. Nothing was lost; try again in a moment."""

    status = 503
    code = "service_unavailable"
    default_retry_after = 5


class InternalError(HubError):
    """Something went wrong on our side. Quote the request's id when you report it."""

    status = 500
    code = "internal_error"


class StorageFull(HubError):
    """The hub's storage has no room for this. Nothing was lost: its operator must make room, then send it again."""

    status = 507
    code = "storage_full"
