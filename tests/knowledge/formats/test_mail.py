import base64

import pytest

from apps.knowledge.extraction.sections import Section
from apps.knowledge.media_types import EML


def mail(body, headers="", kind="text/plain; charset=utf-8"):
    start = f"From: Ann <ann@a.example>\nTo: bob@b.example\nDate: Mon, 1 Jan 2024 10:00:00 +0100\n{headers}"
    return f"{start}Content-Type: {kind}\n\n{body}".encode()


def parts(*inside, kind="mixed", boundary="B"):
    """A body of several parts, and its type."""
    body = "".join(f"--{boundary}\n{part}\n" for part in inside) + f"--{boundary}--\n"
    return f"multipart/{kind}; boundary={boundary}", body


def part(text, kind="text/plain", headers=""):
    return f"Content-Type: {kind}\n{headers}\n{text}"


def body_of(section):
    return section.text.split("\n\n", 1)[1]


def test_a_mail_has_its_subject_as_heading_and_says_who_wrote_to_whom(read):
    assert read(mail("Hello Bob,\n\nsee you.\n", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from\n Berlin\n"), EML) == [
        Section(
            "Grüße from Berlin\n\nFrom: Ann <ann@a.example>\nTo: bob@b.example\n"
            "Date: Mon, 1 Jan 2024 10:00:00 +0100\n\nHello Bob,\n\nsee you.",
            heading="Grüße from Berlin",
        )
    ]


@pytest.mark.parametrize(
    ("subject", "heading"),
    [
        ("Grüße", "Grüße"),
        ("=?utf-8?B?R3LDvMOf?= =?utf-8?B?ZQ==?=", "Grüße"),
        ("=?klingon?q?abc?=", "=?klingon?q?abc?="),
        ("=?utf-8?B?R?=", "=?utf-8?B?R?="),
    ],
)
def test_a_subject_is_read_however_it_is_wrapped(read, subject, heading):
    assert read(mail("x", f"Subject: {subject}\n"), EML)[0].heading == heading


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (mail("Gr=FC=DFe", "Content-Transfer-Encoding: quoted-printable\n", "text/plain; charset=latin-1"), "Grüße"),
        (mail("Größe", kind="text/plain; charset=us-ascii"), "Größe"),
        (mail("Größe", kind="text/plain; charset=klingon"), "Größe"),
        (
            mail("one \ntwo\n> quoted \n> more\n-- \nAnn", kind="text/plain; format=flowed"),
            "one two\n> quoted\n> more\n--\nAnn",
        ),
        (mail("lo \nng", kind="text/plain; format=flowed; delsp=yes"), "long"),
        (mail("<h1>Hi</h1><p>Only <b>HTML</b></p><script>x</script>", kind="text/html"), "Hi\n\nOnly HTML"),
    ],
    ids=["quoted-printable", "wrong-charset", "unknown-charset", "flowed", "delsp", "html"],
)
def test_a_body_is_read_however_it_is_written(read, content, text):
    (section,) = read(content, EML)

    assert body_of(section) == text


def test_of_a_body_that_is_there_twice_one_is_read(read):
    plain, html = part("The same words here."), part("<p>The <b>same</b> words here.</p>", "text/html")
    kind, body = parts(plain, html, kind="alternative")

    (section,) = read(mail(body, kind=kind), EML)

    assert body_of(section) == "The same words here."


def test_a_plain_text_that_only_points_to_the_html_is_passed_over(read):
    kind, body = parts(part("See HTML."), part("<p>All that there is to say.</p>", "text/html"), kind="alternative")

    (section,) = read(mail(body, kind=kind), EML)

    assert body_of(section) == "All that there is to say."


def test_attachments_are_named_and_those_that_are_text_are_read(read):
    disposition = 'Content-Disposition: attachment; filename="{}"\n'
    picture = part("iVBORw0=", "image/png", disposition.format("photo.png") + "Content-Transfer-Encoding: base64\n")
    notes = part(
        base64.b64encode("Größen".encode()).decode(),
        'text/plain; charset=utf-8; name="=?utf-8?q?gr=C3=B6=C3=9Fen=2Etxt?="',
        "Content-Transfer-Encoding: base64\n",
    )
    kind, body = parts(part("First."), picture, notes, part("Last."), part("", "text/csv", disposition.format("e.csv")))

    mail_itself, attached = read(mail(body, kind=kind), EML)

    assert body_of(mail_itself) == "First.\n\nLast.\n\nAttachments: photo.png, größen.txt, e.csv"
    assert attached == Section("größen.txt\n\nGrößen", heading="größen.txt")


def test_a_mail_inside_a_mail_is_a_section_of_its_own(read):
    inner = mail("The inner words.", "Subject: Inner\n").decode()
    kind, body = parts(part("Look at this:"), f"Content-Type: message/rfc822\n\n{inner}")

    outer, inside = read(mail(body, "Subject: Outer\n", kind), EML)

    assert outer.text.endswith("Look at this:\n\nAttachments: Inner")
    assert inside.heading == "Inner"
    assert inside.text.endswith("The inner words.")


def test_mails_inside_mails_without_end_are_refused(refused):
    content = mail("deepest").decode()
    for _ in range(30):
        content = mail(content, kind="message/rfc822").decode()

    assert refused(content.encode(), EML) == "corrupt"


def test_parts_inside_parts_without_end_are_refused(refused):
    kind, body = parts(part("deepest"), boundary="B0")
    for depth in range(1, 1500):
        kind, body = parts(part(body, kind), boundary=f"B{depth}")

    assert refused(mail(body, kind=kind), EML) == "corrupt"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (mail("x", kind='multipart/encrypted; protocol="application/pgp-encrypted"'), "encrypted_mail"),
        (mail("MIA=", kind="application/pkcs7-mime; smime-type=enveloped-data"), "encrypted_mail"),
        (b"\n\n", "empty"),
    ],
)
def test_a_mail_that_cannot_be_read_says_why(refused, content, code):
    assert refused(content, EML) == code
