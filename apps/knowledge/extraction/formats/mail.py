"""E-mail (.eml): who wrote to whom and when, the body, and those attachments that are text or mails themselves."""

import email
import re
from collections.abc import Callable, Iterator
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats.html import html_sections
from apps.knowledge.extraction.sections import Section, normalise
from apps.knowledge.extraction.source import Source, whole
from apps.knowledge.media_types import text_encoding

_SHOWN_HEADERS = ("From", "To", "Cc", "Date")
_TEXTS = ("text/plain", "text/markdown", "text/csv", "text/html")
_FLOWED = re.compile(r"(?m)(?<!^--) \n(?!>|--)")
# A mail holds the mail it answers, and so on; deeper than this is no correspondence.
_DEEPEST = 20


def read_eml(source: Source, _report: Callable[[int, int], None]) -> list[Section]:
    """A section for the mail, with its subject as heading, and one for each text or mail attached to it.

    Other attachments are named. Of a body that is there as text and as HTML, one is read.
    """
    try:
        sections = list(_mail(email.message_from_bytes(whole(source)), 0))
    except (MessageError, RecursionError) as error:
        raise ExtractionFailed("corrupt") from error
    if not sections:
        raise ExtractionFailed("empty")
    return sections


def _mail(message: Message, depth: int) -> Iterator[Section]:
    if depth > _DEEPEST:
        raise ExtractionFailed("corrupt")
    subject = _header(message, "Subject")
    headers = [f"{name}: {said}" for name in _SHOWN_HEADERS if (said := _header(message, name))]
    parts = _parts(message)
    attached = [part for part in parts if isinstance(part, Message)]
    names = [name for part in attached if (name := _name(part))]
    listed = [f"Attachments: {', '.join(names)}"] if names else []
    bodies = [part for part in parts if isinstance(part, str)]
    text = normalise("\n\n".join(filter(str.strip, [subject, "\n".join(headers), *bodies, *listed])))
    if text:
        yield Section(text, heading=subject[:200])
    for part in attached:
        yield from _attachment(part, depth)


def _attachment(part: Message, depth: int) -> Iterator[Section]:
    if part.get_content_type() == "message/rfc822" and part.is_multipart():
        for message in part.get_payload():
            yield from _mail(message, depth + 1)  # type: ignore[arg-type]  # is_multipart: a list of messages
    elif part.get_content_type() in _TEXTS and (text := normalise(_text(part))):
        name = _name(part)
        yield Section(f"{name}\n\n{text}".strip(), heading=name[:200])


def _parts(message: Message) -> list[str | Message]:
    """What a mail is made of, in order: bodies as text, attachments as they are."""
    kind = message.get_content_type()
    if kind in ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"):
        raise ExtractionFailed("encrypted_mail")
    if kind == "message/rfc822" or not message.is_multipart():
        is_body = kind in ("text/plain", "text/html") and not _name(message) and not _is_attachment(message)
        return [_text(message)] if is_body else [message]
    parts = [_parts(part) for part in message.get_payload()]  # type: ignore[arg-type]
    return _one_of(parts) if kind == "multipart/alternative" else [part for inner in parts for part in inner]


def _one_of(versions: list[list[str | Message]]) -> list[str | Message]:
    """The first version, which is the plain text, unless another says far more: some only say "see the HTML"."""
    words = [sum(len(part.split()) for part in version if isinstance(part, str)) for version in versions]
    enough = max(words, default=0) / 2
    return next((version for version, count in zip(versions, words, strict=True) if count >= enough), [])


def _is_attachment(part: Message) -> bool:
    return part.get_content_disposition() == "attachment"


def _name(part: Message) -> str:
    """The name of an attachment, "" where it has none; an attached mail is called by its subject."""
    if part.get_content_type() == "message/rfc822" and part.is_multipart():
        return _header(part.get_payload(0), "Subject")  # type: ignore[arg-type]
    return _words(part.get_filename() or "")


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    text = _decode(content, part.get_content_charset())
    if part.get_content_type() == "text/html":
        return "\n\n".join(section.text for section in html_sections(text))
    if str(part.get_param("format", "")).lower() == "flowed":
        text = _FLOWED.sub("" if str(part.get_param("delsp", "")).lower() == "yes" else " ", text.replace("\r\n", "\n"))
    return text


def _decode(content: bytes, declared: str | None = None) -> str:
    try:
        return content.decode(declared or "utf-8")
    except (LookupError, UnicodeError):
        return content.decode(text_encoding(content) or "utf-8", "replace")


def _header(message: Message, name: str) -> str:
    """A header in plain words, on one line; "" where there is none."""
    raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
    # Bytes beyond ASCII, which newer mail programs send without any wrapping, come out of the parser escaped.
    return _words(_decode(str(raw).encode("utf-8", "surrogateescape")))


def _words(value: str) -> str:
    """`=?utf-8?q?Gr=C3=BC=C3=9Fe?=` as what it means."""
    unfolded = " ".join(value.split())
    try:
        return " ".join(normalise(str(make_header(decode_header(unfolded)))).split())
    except (MessageError, LookupError, ValueError):
        return normalise(unfolded)
