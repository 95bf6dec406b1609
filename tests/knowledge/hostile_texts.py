"""Texts, web pages, mails and subtitles that no person wrote."""

from tests.knowledge.hostile_files import Hostile, Says

MAIL = b"From: a@x.example\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMIME-Version: 1.0\r\n"
MANY = 50_000


def text(content):
    return content.encode()


def multiparts(depth):
    """Parts in parts, and a word in the innermost."""
    opened = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(depth))
    return (
        MAIL + opened.encode() + b"\r\nHerons\r\n" + "".join(f"--b{n}--\r\n" for n in reversed(range(depth))).encode()
    )


def mails_in_mails(depth):
    inner = b"Content-Type: text/plain\r\n\r\nHerons"
    return MAIL + b"Content-Type: message/rfc822\r\n\r\n" * depth + inner


def mail(headers, body=b"Herons"):
    return MAIL + headers + b"\r\n" + body


def page(inside, start="<!doctype html><body>"):
    return (start + inside).encode()


XHTML = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>Herons</p>'
LAUGHS = '<!DOCTYPE html [<!ENTITY a "ha"><!ENTITY b SYSTEM "file:///etc/passwd">]><html><body><p>Herons &a;&b;</p>'
RLO = "\u202e"
HEAD = "From: a@x.example\nDate: Mon, 1 Jan 2024 00:00:00 +0000"

ENCODINGS = [
    Hostile("control characters", "a.txt", lambda: b"Herons\x01\x02 wade", "unsupported_type"),
    Hostile("NULs", "a.txt", lambda: b"Herons\0 wade", "unsupported_type"),
    Hostile("only NULs", "a.txt", lambda: bytes(100_000), "unsupported_type"),
    Hostile("controls after the first 64 KiB", "a.txt", lambda: b"Herons " * 10_000 + b"\x01", "corrupt"),
    Hostile("controls in a page", "a.html", lambda: page("<p>Her\x01ons</p>"), Says("Herons")),
    Hostile("lone halves in UTF-16", "a.txt", lambda: b"\xff\xfea\0\x00\xd8b\0", "unsupported_type"),
    Hostile("lone halves as if in UTF-8", "a.txt", lambda: b"a\xed\xa0\x80b", Says("aí\u00a0€b")),
    Hostile("UTF-8 that is too long", "a.txt", lambda: b"a\xc0\xafb", Says("aÀ¯b")),
    Hostile("UTF-8 cut in a character", "a.txt", lambda: b"Heron\xe2\x82", Says("Heronâ‚")),
    Hostile("UTF-16 with half a character", "a.txt", lambda: "Herons".encode("utf-16") + b"\x41", "unsupported_type"),
    Hostile("UTF-32", "a.txt", lambda: "Herons".encode("utf-32"), Says("Herons")),
    Hostile("mark of UTF-8 alone", "a.txt", lambda: b"\xef\xbb\xbf", "empty"),
    Hostile("mark of UTF-16 alone", "a.txt", lambda: b"\xff\xfe", "empty"),
    Hostile("overrides of direction", f"a{RLO}fdp.txt", lambda: text(f"Herons {RLO}wade"), Says(f"Herons {RLO}wade")),
    Hostile("one line of megabytes", "a.txt", lambda: b"Herons " * 1_000_000, Says("Herons Herons", 6_999_999)),
    Hostile("a million line ends", "a.txt", lambda: b"a" + b"\r\n" * 1_000_000 + b"b", Says("a\n\nb")),
    Hostile(
        "thousands of accents on one letter",
        "a.txt",
        lambda: text("a" + "\u0301\u0323" * 3000),
        Says("\u1ea1\u0323", 6000),
    ),
    Hostile("program called text", "a.txt", lambda: b"\x7fELF\x02\x01", "unsupported_type"),
]

MARKDOWN = [
    Hostile(f"Markdown of {title}", "a.md", lambda made=made: text(made), ends)
    for title, made, ends in (
        ("brackets", "[" * MANY, Says("[", MANY)),
        ("brackets and an address", "[" * MANY + "](a)", Says("[", MANY - 1)),
        ("links in links", "[a](" * MANY, Says("[a](", MANY * 4)),
        ("pictures in pictures", "![" * MANY, Says("![", MANY * 2)),
        ("parentheses", "[a](" + "(" * MANY, Says("[a](((", MANY + 4)),
        ("stars", "*" * MANY, Says("*", MANY // 5)),
        ("stars and letters", "**a" * 60_000, Says("aa", 60_000)),
        ("lines below", "__a " * 20_000, Says("__a __a", 79_999)),
        ("table rules", "a\n\n" + "|-" * MANY + "x", Says("a\n\n|-", MANY * 2 + 4)),
        ("spaces and no end", "a" + " " * MANY + "b", Says("a  ", MANY + 2)),
        ("hashes", "#" * MANY + " a", Says("###", MANY + 2)),
        ("a title of hashes", "# a" + " #" * MANY, Says("a # #", MANY * 2 - 1)),
        ("quotes in quotes", ">" * MANY + " a", Says(">>", MANY + 2)),
        ("lists in lists", "\n".join(" " * n + "- a" for n in range(2000)), Says("- a\n - a\n", 2_006_999)),
        ("fences", "```\n" * 99_999 + "a", Says("a")),
        ("backslashes", "\\" * MANY, Says("\\", MANY // 2)),
        ("notes", "[^" * MANY, Says("[^", MANY * 2)),
    )
]

PAGES = [
    Hostile("elements in elements", "a.html", lambda: page("<div>" * 20_000 + "Herons"), Says("Herons")),
    Hostile("tables in tables of a page", "a.html", lambda: page("<table><tr><td>" * 3000 + "Herons"), Says("Herons")),
    Hostile("bold in bold", "a.html", lambda: page("<b><p>" * 5000 + "Herons"), Says("Herons")),
    Hostile("comments without end", "a.html", lambda: page("Herons" + "<!--" * MANY), Says("Herons")),
    Hostile("comments before the page", "a.html", lambda: text("<!---->" * 5000 + "<html>Herons"), Says("Herons")),
    Hostile("attribute without end", "a.html", lambda: page('Herons<a b="' + "x" * MANY), Says("Herons")),
    Hostile(
        "thousands of attributes",
        "a.html",
        lambda: page(f"<p {' '.join(f'a{n}=1' for n in range(5000))}>Herons"),
        Says("Herons"),
    ),
    Hostile("slashes in XHTML", "a.html", lambda: text(XHTML + "<a" + " a/" * MANY), Says("Herons")),
    Hostile("quotes in XHTML", "a.html", lambda: text(XHTML + "<a " + "\"'" * MANY), Says("Herons")),
    Hostile("self-closed in XHTML", "a.html", lambda: text(XHTML + "<a/" * MANY), Says("Herons")),
    Hostile("entities in a page", "a.html", lambda: text(LAUGHS), Says("]>\n\nHerons &a;&b;")),
    Hostile(
        "characters beyond Unicode",
        "a.html",
        lambda: page("<p>Herons&#x110000;&#xD800;&#0;&#99999999999;"),
        Says("Herons\ufffd\ufffd\ufffd\ufffd"),
    ),
    Hostile("styles of spaces", "a.html", lambda: page(f'<p style="{"; " * MANY}x">Herons'), Says("Herons")),
    Hostile(
        "encodings without end", "a.html", lambda: text("<html><body>Herons" + "<meta charset" * MANY), Says("Herons")
    ),
    Hostile("only scripts", "a.html", lambda: page("<script>while(1);</script>"), "empty"),
]

MAILS = [
    Hostile("multiparts in multiparts", "a.eml", lambda: multiparts(5000), "corrupt"),
    Hostile("mails in mails", "a.eml", lambda: mails_in_mails(2000), "corrupt"),
    Hostile("mails in mails, some", "a.eml", lambda: mails_in_mails(100), "corrupt"),
    Hostile("a hundred thousand headers", "a.eml", lambda: mail(b"X: y\r\n" * 100_000), Says(f"{HEAD}\n\nHerons")),
    Hostile(
        "a header of megabytes",
        "a.eml",
        lambda: mail(b"Subject: " + b"a" * 3_000_000 + b"\r\n"),
        Says("aaa", 3_000_000 + len(HEAD) + 10),
    ),
    Hostile(
        "encoded words without end",
        "a.eml",
        lambda: mail(b"Subject: " + b"=?utf-8?q?a?= " * 20_000 + b"\r\n"),
        Says("aaa", 20_000 + len(HEAD) + 10),
    ),
    Hostile(
        "half an encoded word, often",
        "a.eml",
        lambda: mail(b"Subject: " + b"=?a?q?" * 50_000 + b"\r\n"),
        Says("=?a?q?", 300_000 + len(HEAD) + 10),
    ),
    Hostile(
        "boundary that is never met",
        "a.eml",
        lambda: mail(b"Content-Type: multipart/mixed; boundary=x\r\n"),
        Says(HEAD),
    ),
    Hostile(
        "encoding that nobody knows",
        "a.eml",
        lambda: mail(b"Content-Type: text/plain; charset=klingon\r\n"),
        Says(f"{HEAD}\n\nHerons"),
    ),
    Hostile(
        "base64 that is none",
        "a.eml",
        lambda: mail(b"Content-Transfer-Encoding: base64\r\n", b"!!!"),
        Says(HEAD),
    ),
    Hostile(
        "codec that is no encoding",
        "a.eml",
        lambda: mail(b"Content-Type: text/plain; charset=zip\r\n"),
        Says(f"{HEAD}\n\nHerons"),
    ),
]

SUBTITLES = [
    Hostile(
        "times beyond every film",
        "a.srt",
        lambda: text("1\n99999999999999999999:99:99,999 --> 00:00:01,0\nHerons\n"),
        "corrupt",
    ),
    Hostile(
        "times beyond a database",
        "a.srt",
        lambda: text("1\n9999999:00:00,000 --> 9999999:00:01,000\nHerons\n"),
        "corrupt",
    ),
    Hostile(
        "times of five thousand digits",
        "a.srt",
        lambda: text(f"1\n{'9' * 5000}:00:00,000 --> 00:00:01,000\nHerons\n"),
        "corrupt",
    ),
    Hostile(
        "times that run backwards",
        "a.srt",
        lambda: text("1\n00:00:09,000 --> 00:00:01,000\nHerons\n\n2\n00:00:02,000 --> 00:00:01,000\nwade\n"),
        Says("Herons wade"),
    ),
    Hostile(
        "a hundred thousand empty cues",
        "a.vtt",
        lambda: text("WEBVTT\n\n" + "00:00.000 --> 00:01.000\n\n" * 100_000),
        "empty",
    ),
    Hostile(
        "marks without end",
        "a.srt",
        lambda: text("1\n00:00:01,000 --> 00:00:02,000\nHerons" + "<i" * MANY),
        Says("Herons<i", MANY * 2 + 6),
    ),
    Hostile(
        "braces without end",
        "a.srt",
        lambda: text("1\n00:00:01,000 --> 00:00:02,000\nHerons" + "{\\" * MANY),
        Says("Herons{\\", MANY * 2 + 6),
    ),
    Hostile(
        "numbers without times",
        "a.srt",
        lambda: text("1\n00:00:01,000 --> 00:00:02,000\nHerons" + "\n1" * MANY),
        Says("Herons 1 1", MANY * 2 + 6),
    ),
    Hostile(
        "spaces without times",
        "a.srt",
        lambda: text("1\n00:00:01,000 --> 00:00:02,000\nHerons\n1\n" + "\t\n" * MANY + "x"),
        Says("Herons 1 x"),
    ),
]

TEXTS = [*ENCODINGS, *MARKDOWN, *PAGES, *MAILS, *SUBTITLES]
