"""What a client can see of an answer, and what may differ between two that are the same."""

import re
import warnings
from dataclasses import dataclass

# Names of the moment and of the one who asks; nothing of what was asked for.
OF_THE_MOMENT = re.compile(r"x-request-id|date|expires|ratelimit.*|x-ratelimit.*|set-cookie|server|server-timing")
_CSRF = re.compile(rb"(csrfmiddlewaretoken\W+value=\"|X-CSRFToken\"?: ?\")[A-Za-z0-9]{64}")
_NONCE = re.compile(r"nonce-[A-Za-z0-9+/=_-]+")


@dataclass(frozen=True)
class Answer:
    """Status, headers and body, without the request's id, the date, the limits' state and a form's own token."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def of(cls, response):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an asynchronous body, drained by the synchronous client
            body = b"".join(response) if response.streaming else response.content
        request_id = response.headers.get("X-Request-ID", "")
        if request_id:
            body = body.replace(request_id.encode(), b"<request>")
        headers = sorted(
            (name.lower(), _NONCE.sub("nonce", value))
            for name, value in response.headers.items()
            if not OF_THE_MOMENT.fullmatch(name.lower())
        )
        return cls(response.status_code, tuple(headers), _CSRF.sub(b"<csrf>", body))

    @property
    def everything(self):
        """All that the client received, as one text to look for words in."""
        return f"{self.status} {self.headers} " + self.body.decode("utf-8", "replace")


_CHANGING = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"), "<time>"),
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"), "<token>"),
    (re.compile(r'W/"[0-9a-f.]+"'), "<etag>"),
    (re.compile(r'"refresh_token":"[\w-]+"'), '"refresh_token":"<token>"'),
    (re.compile(r'"took_ms":[\d.]+'), '"took_ms":<ms>'),
    (re.compile(r"\d+(\.\d+)?\s?(ms|milliseconds)\b"), "<ms>"),
]


def shape(answer):
    """The answer with ids, times and tokens left out: what must not depend on whether another creator exists."""
    text = answer.everything
    for pattern, name in _CHANGING:
        text = pattern.sub(name, text)
    return re.sub(r"\('content-length', '\d+'\)", "", text)
