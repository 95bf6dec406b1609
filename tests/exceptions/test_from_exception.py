import errno

import ninja.errors
import psycopg
import psycopg.errors
import psycopg_pool
import pydantic
import pytest
import redis.exceptions
from django import forms
from django.core import exceptions as django_errors
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from django.db.models import ProtectedError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from structlog.testing import capture_logs

from shared.exceptions import HubError, NotFound, from_exception

SECRET = "hunter2-in-plain-sight"


def caused(error, cause):
    """As Django wraps what psycopg raised."""
    try:
        raise error from cause
    except type(error) as raised:
        return raised


MAPPED = [
    (Http404(SECRET), 404, "not_found"),
    (django_errors.ObjectDoesNotExist(SECRET), 404, "not_found"),
    (django_errors.PermissionDenied(SECRET), 403, "permission_denied"),
    (django_errors.RequestDataTooBig(SECRET), 413, "payload_too_large"),
    (django_errors.TooManyFieldsSent(SECRET), 413, "payload_too_large"),
    (django_errors.TooManyFilesSent(SECRET), 413, "payload_too_large"),
    (django_errors.SuspiciousOperation(SECRET), 400, "bad_request"),
    (django_errors.DisallowedHost(SECRET), 400, "bad_request"),
    (django_errors.BadRequest(SECRET), 400, "bad_request"),
    (MultiPartParserError(SECRET), 400, "bad_request"),
    (UnreadablePostError(SECRET), 400, "bad_request"),
    (RawPostDataException(SECRET), 415, "unsupported_media_type"),
    (DataError(SECRET), 400, "bad_request"),
    (psycopg.DataError(SECRET), 400, "bad_request"),
    (UnicodeEncodeError("utf-8", SECRET + "\ud800", 0, 1, "surrogates"), 400, "bad_request"),
    (OperationalError(SECRET), 503, "database_unavailable"),
    (InterfaceError(SECRET), 503, "database_unavailable"),
    (psycopg.OperationalError(SECRET), 503, "database_unavailable"),
    (psycopg_pool.PoolTimeout(SECRET), 503, "database_unavailable"),
    (psycopg.errors.DeadlockDetected(SECRET), 503, "database_unavailable"),
    (redis.exceptions.ConnectionError(SECRET), 503, "service_unavailable"),
    (redis.exceptions.TimeoutError(SECRET), 503, "service_unavailable"),
    (OSError(errno.ENOSPC, SECRET), 507, "storage_full"),
    (OSError(errno.EDQUOT, SECRET), 507, "storage_full"),
    (UnreadablePostError(errno.ENOSPC, SECRET), 507, "storage_full"),
    (caused(IntegrityError(SECRET), psycopg.errors.UniqueViolation(SECRET)), 409, "conflict"),
    (caused(IntegrityError(SECRET), psycopg.errors.ForeignKeyViolation(SECRET)), 409, "conflict"),
    (ProtectedError(SECRET, set()), 409, "conflict"),
    (ninja.errors.AuthenticationError(), 401, "not_authenticated"),
    (ninja.errors.AuthorizationError(), 403, "permission_denied"),
    (ninja.errors.Throttled(wait=1), 429, "rate_limited"),
    # Defects: ours, not the client's.
    (OSError(errno.EACCES, SECRET), 500, "internal_error"),
    (caused(IntegrityError(SECRET), psycopg.errors.NotNullViolation(SECRET)), 500, "internal_error"),
    (caused(IntegrityError(SECRET), psycopg.errors.CheckViolation(SECRET)), 500, "internal_error"),
    (ProgrammingError(SECRET), 500, "internal_error"),
    (ninja.errors.HttpError(418, SECRET), 500, "internal_error"),
    (ValueError(SECRET), 500, "internal_error"),
    (KeyError(SECRET), 500, "internal_error"),
    (HubError(), 500, "internal_error"),
]


@pytest.mark.parametrize(("error", "status", "code"), MAPPED, ids=lambda value: type(value).__name__)
def test_each_exception_has_its_answer_and_the_answer_says_nothing_of_it(error, status, code):
    mapped = from_exception(error)

    assert (mapped.status, mapped.code) == (status, code)
    assert SECRET not in mapped.detail
    assert SECRET not in str(mapped.errors)
    assert ("Retry-After" in mapped.headers) == (status in {429, 503})


def test_a_hub_error_comes_back_as_it_is():
    error = NotFound("No such document.")

    assert from_exception(error) is error


def test_a_body_that_is_no_json_is_told_so():
    assert from_exception(ninja.errors.HttpError(400, "Cannot parse request body")).detail.startswith("Cannot parse")


def test_fields_are_named_as_the_client_knows_them_and_never_with_their_value():
    mapped = from_exception(
        ninja.errors.ValidationError(
            [
                {"type": "missing", "loc": ("body", "payload", "email"), "msg": "Field required"},
                {"type": "value_error", "loc": ("body", "payload", "tags", 2), "msg": "Value error, too long"},
                {"type": "int_parsing", "loc": ("query", "limit"), "msg": "Not a number", "input": SECRET},
                {"type": "missing", "loc": ("file", "file"), "msg": "Field required"},
            ]
        )
    )

    assert mapped.status == 422
    assert mapped.errors == [
        {"field": "email", "message": "Field required", "code": "missing"},
        {"field": "tags.2", "message": "too long", "code": "value_error"},
        {"field": "limit", "message": "Not a number", "code": "int_parsing"},
        {"field": "file", "message": "Field required", "code": "missing"},
    ]


def test_djangos_own_validation_names_the_fields():
    class Form(forms.Form):
        email = forms.EmailField()

    with pytest.raises(django_errors.ValidationError) as refused:
        forms.EmailField().clean("nonsense")
    assert from_exception(refused.value).errors == [
        {"field": "", "message": "Enter a valid email address.", "code": "invalid"}
    ]

    by_field = django_errors.ValidationError({"password": ["Too short.", "Too common."], "__all__": ["No."]})
    assert from_exception(by_field).errors == [
        {"field": "password", "message": "Too short.", "code": "invalid"},
        {"field": "password", "message": "Too common.", "code": "invalid"},
        {"field": "", "message": "No.", "code": "invalid"},
    ]


def test_our_own_data_that_does_not_fit_its_schema_is_a_defect():
    class Out(pydantic.BaseModel):
        number: int

    with pytest.raises(pydantic.ValidationError) as broken:
        Out.model_validate({"number": SECRET})

    mapped = from_exception(broken.value)

    assert mapped.status == 500
    assert SECRET not in mapped.detail


def test_a_defect_is_logged_with_its_traceback():
    with pytest.raises(ZeroDivisionError) as broken:
        1 / 0  # noqa: B018

    with capture_logs() as lines:
        from_exception(broken.value)

    (line,) = lines
    assert (line["event"], line["log_level"], line["exc_info"]) == ("unexpected_error", "error", broken.value)


def test_what_the_client_did_is_not_logged_as_a_defect():
    with capture_logs() as lines:
        from_exception(caused(Http404(), None))
        from_exception(caused(OperationalError(), None))

    assert lines == []


def test_a_deadlock_asks_to_come_back_at_once():
    assert from_exception(psycopg.errors.DeadlockDetected()).headers["Retry-After"] == "1"
