"""Structured logs: one line an event, with the request's and the creator's id, and nothing that is nobody's business.

Everything that Django and the libraries log takes the same way, so the same rules hold for it.
"""

import contextlib
import json
import logging
import logging.config
import re
import sys
from functools import lru_cache
from typing import Any, TextIO
from uuid import UUID

import orjson
import structlog
from structlog.typing import EventDict, Processor

from shared.config.env_constants import get_env_value

HIDDEN = "[hidden]"
# Names whose values are never written, in whatever line and at whatever depth.
_SECRET = re.compile(r"pass(word|wd)?$|secret|token|authorization|cookie|api_?key|private_?key|session_?key|dsn", re.I)
_PRIVATE = re.compile(
    r"^(text|content|body|chunks?|passages?|query|q|title|filename|file_?name|email|params|sql)$", re.I
)
# Secrets inside a sentence: a bearer header, a token pair, a URL with a password.
_IN_TEXT = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w\-.~+/=]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), HIDDEN),
    (re.compile(r"(?i)(\w+://[^\s:/@]*):[^\s@/]+@"), rf"\1:{HIDDEN}@"),
    (
        re.compile(r"(?i)\b((?:access_|refresh_)?token|password|secret|api_?key)(['\"]?\s*[=:]\s*['\"]?)[^\s'\",&}]+"),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"\bhub_rt_[\w-]{8,}"), HIDDEN),
    (re.compile(r"(?i)\b(sessionid|csrftoken)=[\w-]+"), rf"\1={HIDDEN}"),
    (re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)"), HIDDEN),
    # Whoever it is, the line says so by an id.
    (re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+"), HIDDEN),
    # Pydantic quotes what did not fit: [type=string_type, input_value='...', input_type=str]
    (re.compile(r"(?s)\binput_value=.*?(?=, input_type=|$)"), f"input_value={HIDDEN}"),
    # Postgres quotes rows and statements: DETAIL:  Key (title)=(My book) already exists. LINE 1: INSERT ...
    (re.compile(r"(?s)\b(DETAIL:|CONTEXT:|LINE \d+:).*?(?=\n\n|\n\w+: |\nTraceback|$)"), rf"\1 {HIDDEN}"),
)


# Words of which each of these needs one, in lower case: most texts have none, and that is soon seen.
_SUSPECT = (
    *("bearer", "basic", "eyj", "://", "token", "password", "secret", "api_key", "apikey", "hub_rt_", "sessionid="),
    *("private key-----", "@", "input_value=", "detail:", "context:", "line "),
)


def hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The processor that every line passes: by name, then inside what is left."""
    return {name: _clean(name, value) for name, value in event.items()}


@lru_cache(maxsize=1024)
def _is_hidden(name: str) -> bool:
    return bool(_SECRET.search(name) or _PRIVATE.match(name))


def _clean(name: str, value: Any) -> Any:
    if name.startswith("_"):  # structlog's own
        return value
    if _is_hidden(name):
        return HIDDEN
    if isinstance(value, str):
        return _clean_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        return {inner: _clean(str(inner), item) for inner, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean("", item) for item in value]
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return _clean_text(str(value))  # the renderer would do the same with an object, past these rules


def _clean_text(text: str) -> str:
    lower = text.lower()
    for word in _SUSPECT:
        if word in lower:
            break
    else:
        return text
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _to_json(event: Any, **options: Any) -> str:
    try:
        return orjson.dumps(event, **options).decode()
    except TypeError:  # half a surrogate, a number beyond 64 bits: the standard library writes them all
        return json.dumps(event, **options)


def configure_logging() -> None:
    """Set up structlog, and the standard library's logging with the same processors. Called once, by the settings."""
    structlog.configure(
        processors=[_only_from(get_env_value("LOG_LEVEL", fallback=True)), *_before(), *_last()],
        # Our own lines take the short way: through the standard library each would cost twice as much.
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(_standard_library())


def _stream() -> TextIO:
    return sys.stderr


class _Lines:
    """Where our own lines end: standard error, each in one write."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def write(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a log that cannot be written fails nobody's request
            _stream().write(line + "\n")

    msg = debug = info = warning = error = critical = exception = write


def _only_from(least: str) -> Processor:
    """Drops what is less important, before anything is made of it."""
    levels = logging.getLevelNamesMapping()
    lowest = levels[least.upper()]

    def only(_logger: Any, method: str, event: EventDict) -> EventDict:
        if levels[method.upper()] < lowest:
            raise structlog.DropEvent
        return event

    return only


def _before() -> list[Processor]:
    """What every line gets, ours and the libraries'."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _last() -> list[Processor]:
    """How every line is written."""
    for_people = get_env_value("LOG_FORMAT", fallback=True) == "console"
    return [
        # Tracebacks become text before secrets are hidden: they quote values too.
        structlog.processors.format_exc_info,
        hide_secrets,
        structlog.dev.ConsoleRenderer(colors=False) if for_people else structlog.processors.JSONRenderer(_to_json),
    ]


def _standard_library() -> dict[str, Any]:
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last()],
        "foreign_pre_chain": [
            *_before(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ExtraAdder(allow=["status_code"]),
        ],
    }
    level = get_env_value("LOG_LEVEL", fallback=True).upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"hub": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "hub"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Ours says the same with less, and without the path's query.
            "django.request": {"level": "ERROR"},
            "django.server": {"level": "ERROR"},
            # Statements hold text of creators.
            "django.db.backends": {"level": "ERROR"},
            # One line for each job is ours to write.
            "procrastinate": {"level": "WARNING"},
            # Their access lines have the query in them, and their handlers know no rules.
            "uvicorn": {"handlers": [], "propagate": True, "level": "WARNING"},
            "uvicorn.error": {"level": "WARNING"},
            "uvicorn.access": {"handlers": [], "propagate": False, "level": "CRITICAL"},
            "httpx": {"level": "WARNING"},
        },
    }
