"""Turn any exception into the HubError that a client may see."""

import errno
import re
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
import psycopg_pool
import redis.exceptions
import structlog
from django.core import exceptions as django_errors
from django.db import DataError, Error, IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError

from shared.exceptions import errors as hub

log = structlog.get_logger(__name__)

_BY_STATUS: Mapping[int, type[hub.HubError]] = {
    error.status: error
    for error in (
        hub.BadRequest,
        hub.NotAuthenticated,
        hub.PermissionDenied,
        hub.NotFound,
        hub.MethodNotAllowed,
        hub.Conflict,
        hub.PayloadTooLarge,
        hub.UnsupportedMediaType,
        hub.ValidationFailed,
        hub.RateLimited,
        hub.ServiceUnavailable,
        hub.StorageFull,
    )
}

# First match counts, so a subclass stands before its base.
_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], type[hub.HubError]], ...] = (
    ((Http404, django_errors.ObjectDoesNotExist), hub.NotFound),
    ((django_errors.PermissionDenied,), hub.PermissionDenied),
    (
        (
            django_errors.RequestDataTooBig,
            django_errors.TooManyFieldsSent,
            django_errors.TooManyFilesSent,
        ),
        hub.PayloadTooLarge,
    ),
    ((RawPostDataException,), hub.UnsupportedMediaType),  # a form, which was parsed before its view wanted JSON
    (
        (
            django_errors.SuspiciousOperation,
            django_errors.BadRequest,
            MultiPartParserError,
            UnreadablePostError,
            # A NUL, a lone surrogate, a number too large: JSON can carry them, Postgres cannot.
            DataError,
            psycopg.DataError,
            UnicodeEncodeError,
        ),
        hub.BadRequest,
    ),
)

_REDIS_AWAY = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
_DATABASE_AWAY = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)
# No space left on the device; the quota of the hub's user is used up.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_UNIQUE, _FOREIGN_KEY, _RESTRICT, _EXCLUSION = "23505", "23503", "23001", "23P01"
# Deadlock, serialization failure, lock not available: the same request may well pass a moment later.
_PASSING = {"40P01", "40001", "55P03"}


class DatabaseUnavailable(hub.ServiceUnavailable):
    """The hub's database cannot be reached or is very busy. Nothing was lost; try again in a moment."""

    code = "database_unavailable"


class DatabaseBusy(DatabaseUnavailable):
    """The hub has more to do than it can right now. Nothing was lost; try again in a moment."""

    code = "database_busy"
    default_retry_after = 1


def from_exception(error: BaseException) -> hub.HubError:
    """The HubError for any exception; a HubError comes back as it is.

    What nobody foresaw becomes `internal_error` and leaks nothing; it is logged here, with its traceback,
    so that every door logs a defect exactly once. A `pydantic.ValidationError` is one of these: by the time
    it is not Ninja's, it was our own data that did not fit.
    """
    known = _known(error)
    if known is not None:
        return known
    if error.__traceback__ is not None:  # one that was only made, not raised, has been logged where it was caught
        log.error("unexpected_error", error=type(error).__name__, exc_info=error)
    return hub.InternalError()


def _known(error: BaseException) -> hub.HubError | None:
    import ninja.errors  # reads Django's settings when it is imported; errors must be importable before those

    if isinstance(error, hub.HubError):
        return error
    if isinstance(error, ninja.errors.ValidationError):
        return hub.ValidationFailed(errors=[_field_error(item) for item in error.errors])
    if isinstance(error, ninja.errors.HttpError):
        if error.status_code == hub.BadRequest.status:
            return hub.BadRequest(str(error) or None)  # ninja's own words: a body that is no JSON
        return _BY_STATUS[error.status_code]() if error.status_code in _BY_STATUS else None
    if isinstance(error, django_errors.ValidationError):
        return hub.ValidationFailed(errors=list(_form_errors(error)))
    if isinstance(error, _REDIS_AWAY):
        return hub.ServiceUnavailable()
    if isinstance(error, psycopg_pool.TooManyRequests):
        return DatabaseBusy()
    if isinstance(error, (Error, psycopg.Error)):
        return _from_database(error)
    # Before the classes: Django wraps what fails while a body is read, and keeps its number.
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        log.error("storage_full", error=str(error))  # only the operator can help
        return hub.StorageFull()
    return next((known() for classes, known in _BY_CLASS if isinstance(error, classes)), None)


def from_status(status: int) -> hub.HubError:
    """The HubError for an answer that somebody else made: all that is known of it is its status."""
    return _BY_STATUS.get(status, hub.BadRequest if status < 500 else hub.InternalError)()


def _from_database(error: BaseException) -> hub.HubError | None:
    """Postgres away or busy: 503. Something that is there already: 409. A value it cannot hold: 400.

    The sentence never quotes the database, whose own names values and constraints.
    """
    sqlstate = _sqlstate(error)
    if sqlstate in _PASSING:
        return DatabaseUnavailable(retry_after=1)
    if isinstance(error, _DATABASE_AWAY):
        return DatabaseUnavailable()
    if isinstance(error, (IntegrityError, psycopg.IntegrityError)):
        # A model's own on_delete=PROTECT raises without having asked Postgres, hence without a state.
        telling = {_UNIQUE, _FOREIGN_KEY, _RESTRICT, _EXCLUSION, None}
        return hub.Conflict() if sqlstate in telling else None
    if isinstance(error, (DataError, psycopg.DataError)):
        return hub.BadRequest()
    return None


def _sqlstate(error: BaseException | None) -> str | None:
    """The state of the psycopg error, which Django's own carries as its cause."""
    while error is not None:
        if isinstance(error, psycopg.Error):
            return error.sqlstate
        error = error.__cause__
    return None


def _field_error(item: Mapping[str, Any]) -> dict[str, str]:
    """Pydantic's error for one field, without the value that was sent: it may be a password."""
    place = [str(part) for part in item.get("loc", ())]
    source, path = place[:1], place[1:]
    # In a body the first part is the operation's own parameter, which no client has ever heard of.
    if source in (["body"], ["form"]) and len(path) > 1:
        path = path[1:]
    message = re.sub(r"^Value error, ", "", str(item.get("msg", "")))
    return {"field": ".".join(path or source), "message": message, "code": str(item.get("type", "invalid"))}


def _form_errors(error: django_errors.ValidationError) -> Iterable[dict[str, str]]:
    by_field = error.error_dict if hasattr(error, "error_dict") else {"": error.error_list}
    for field, problems in by_field.items():
        for problem in problems:
            name = "" if field == django_errors.NON_FIELD_ERRORS else field
            yield {"field": name, "message": " ".join(problem.messages), "code": problem.code or "invalid"}
