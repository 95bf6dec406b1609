import io
import json
import logging
import traceback

import psycopg
import pydantic
import pytest
import structlog
from structlog.contextvars import bound_contextvars
from structlog.stdlib import ProcessorFormatter

from shared.observability import logs

PASSWORD = "hunter2-in-plain-sight"
TEXT = "The whole chapter about breathing"
TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLW91cnM"
REFRESH = "hub_rt_Zx81kQ0b7Qm3nWJ2v5y8aBcDeFgHiJkLmNoPqRsTuVw"


class Lines(list):
    """What was written, as text and as events."""

    def __init__(self, stream):
        self.stream = stream

    @property
    def text(self):
        return self.stream.getvalue()

    @property
    def events(self):
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture(params=["json", "console"])
def form(request, monkeypatch):
    monkeypatch.setenv("LOG_FORMAT", request.param)
    return request.param


@pytest.fixture
def lines(monkeypatch):
    """Everything that is logged, rendered as the hub renders it."""
    monkeypatch.setenv("LOG_FORMAT", "json")
    yield from _listen(monkeypatch)


@pytest.fixture
def either_form(form, monkeypatch):
    yield from _listen(monkeypatch)


def _listen(monkeypatch):
    """Both ways to the log: ours, whose loggers are made already and keep their list of processors, and libraries'."""
    stream = io.StringIO()
    monkeypatch.setattr(logs, "_stream", lambda: stream)
    monkeypatch.setenv("LOG_LEVEL", "debug")
    formatter = logs._standard_library()["formatters"]["hub"]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        ProcessorFormatter(processors=formatter["processors"], foreign_pre_chain=formatter["foreign_pre_chain"])
    )
    processors = structlog.get_config()["processors"]
    before = processors[:]
    processors[:] = [*logs._before(), *logs._last()]
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield Lines(stream)
    root.removeHandler(handler)
    root.setLevel(level)
    processors[:] = before


log = structlog.get_logger("tests")


def wrapped(error, cause):
    """As it is logged: raised, with its cause."""
    try:
        raise error from cause
    except Exception as raised:
        return raised


class Reader(pydantic.BaseModel):
    age: int


def not_fitting():
    try:
        Reader.model_validate({"age": TEXT})
    except pydantic.ValidationError as error:
        return error


class Talkative:
    def __str__(self):
        return f"password={PASSWORD}"

    __repr__ = __str__


ATTEMPTS = {
    "a password by name": lambda: log.error("sign_in", password=PASSWORD),
    "deep inside": lambda: log.error("x", form={"user": {"new_password": PASSWORD}}, items=[{"text": TEXT}]),
    "headers": lambda: log.error("x", headers={"Authorization": f"Bearer {TOKEN}", "Cookie": "sessionid=hunter2"}),
    "a bearer in a sentence": lambda: log.error(f"refused Authorization: Bearer {TOKEN}"),
    "a bare token": lambda: log.error("refused", detail=f"got {TOKEN} again"),
    "a refresh token": lambda: log.error("refused", detail=f"got {REFRESH}"),
    "a cookie in a sentence": lambda: log.error("x", detail="Cookie: sessionid=hunter2abcdef; csrftoken=hunter2xyz"),
    "a URL": lambda: log.error("x", url=f"postgresql://hub_app:{PASSWORD}@db/hub"),
    "a query": lambda: log.error("x", detail=f"/reset?token={PASSWORD}&x=1"),
    "a key": lambda: log.error("x", detail=f"-----BEGIN PRIVATE KEY-----\n{PASSWORD}\n-----END PRIVATE KEY-----"),
    "an address of mail": lambda: log.error("no account for hunter2@acme.example.com"),
    "bytes": lambda: log.error("x", got=PASSWORD.encode()),
    "an object": lambda: log.error("x", got=Talkative()),
    "an object in a list": lambda: log.error("x", got=[Talkative(), {"inner": Talkative()}]),
    "document text": lambda: log.error("chunked", text=TEXT, title=TEXT, content=TEXT, query=TEXT, filename=TEXT),
    "the standard library": lambda: logging.getLogger("some.library").error("login with password=%s", PASSWORD),
    "the standard library's args": lambda: logging.getLogger("some.library").error("sent %s", {"password": PASSWORD}),
    "its extra": lambda: logging.getLogger("some.library").error("x", extra={"request": PASSWORD, "sql": TEXT}),
    "a row quoted by Postgres": lambda: log.error(
        "failed",
        exc_info=wrapped(
            ValueError("failed"),
            psycopg.errors.UniqueViolation(f"duplicate key\nDETAIL:  Key (title)=({TEXT}) already exists."),
        ),
    ),
    "a statement quoted by Postgres": lambda: log.error(
        "failed",
        exc_info=wrapped(
            psycopg.errors.SyntaxError(f"syntax error\nLINE 1: INSERT INTO x VALUES ('{TEXT}'\n    ^"), None
        ),
    ),
    "a value quoted by pydantic": lambda: log.error("failed", exc_info=not_fitting()),
    "an exception's own words": lambda: log.error(
        "failed", exc_info=wrapped(ValueError(f"password: {PASSWORD}"), None)
    ),
    "a traceback passed on": lambda: log.error(
        "failed", detail="".join(traceback.format_exception(wrapped(ValueError(f"secret={PASSWORD}"), None)))
    ),
    "the context": lambda: with_context(),
}


def with_context():
    with bound_contextvars(token=TOKEN, request_id="0198"):
        log.error("x")


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_no_secret_and_no_text_of_a_document_is_written(either_form, attempt):
    attempt()

    written = either_form.text
    assert written
    for secret in (PASSWORD, "hunter2", TEXT, TOKEN.split(".")[1], TOKEN.split(".")[2], REFRESH):
        assert secret not in written


def test_what_is_harmless_is_written_as_it_is(lines):
    log.warning("request", route="/api/v1/documents/<uuid:id>", status=200, ms=1.5, ok=True, nothing=None, many=[1, 2])

    (line,) = lines.events
    assert line["route"] == "/api/v1/documents/<uuid:id>"
    assert (line["status"], line["ms"], line["ok"], line["nothing"], line["many"]) == (200, 1.5, True, None, [1, 2])
    assert line["level"] == "warning"
    assert line["timestamp"].endswith("Z")


def test_request_and_creator_are_in_every_line_of_ours_and_of_libraries(lines):
    with bound_contextvars(request_id="0198", creator_id="acme", user_id="alice"):
        log.error("ours")
        logging.getLogger("some.library").error("theirs %s", "too")

    ours, theirs = lines.events
    assert theirs["event"] == "theirs too"
    for line in (ours, theirs):
        assert (line["request_id"], line["creator_id"], line["user_id"]) == ("0198", "acme", "alice")


def test_a_defect_keeps_its_traceback_in_one_line(lines):
    log.error("failed", exc_info=wrapped(ZeroDivisionError("division by zero"), None))

    (line,) = lines.events
    assert "ZeroDivisionError: division by zero" in line["exception"]
    assert "test_logs.py" in line["exception"]


def test_statements_are_never_logged(lines):
    logging.getLogger("django.db.backends").debug("SELECT %s", TEXT)

    assert lines.text == ""


@pytest.mark.parametrize(("least", "written"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_what_is_less_important_than_asked_for_is_dropped(lines, least, written):
    structlog.get_config()["processors"].insert(0, logs._only_from(least))

    for level in ("debug", "info", "warning", "error"):
        getattr(log, level)("said")

    assert len(lines.events) == written


def test_a_log_that_cannot_be_written_stops_nobody(lines, monkeypatch):
    class Full:
        def write(self, text):
            raise OSError("no space left on device")

    monkeypatch.setattr(logs, "_stream", Full)

    log.error("lost")
