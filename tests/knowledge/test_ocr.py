"""PDFs of pictures, drawn here and read by the real Tesseract."""

import shutil
import zlib

import pypdfium2
import pytest

from apps.knowledge import media_types
from apps.knowledge.extraction import ocr, processes
from apps.knowledge.extraction.failures import ExtractionFailed
from tests.knowledge import files
from tests.knowledge.readers import read, stand_in

needs_tesseract = pytest.mark.skipif(not shutil.which("tesseract"), reason="needs Tesseract")
A_PAGE = b'{"picture": [1, 1, 2]}\nP5'


def scan(*pages):
    """A PDF whose pages are pictures of these lines, as a scanner makes it."""
    document = pypdfium2.PdfDocument(files.pdf(*pages).replace(b"[0 0 612 792]", b"[0 700 400 740]"))
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    for number, page in enumerate(document):
        drawn = page.render(scale=200 / 72, grayscale=True)
        dots = b"".join(bytes(drawn.buffer)[y * drawn.stride :][: drawn.width] for y in range(drawn.height))
        packed, first = zlib.compress(dots), 3 + number * 3
        paint = b"400 0 0 40 0 0 cm /Picture Do"
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 40] /Contents %d 0 R "
            b"/Resources << /XObject << /Picture %d 0 R >> >> >>" % (first + 1, first + 2),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(paint), paint),
            b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 "
            b"/Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream"
            % (drawn.width, drawn.height, len(packed), packed),
        ]
    kids = b" ".join(b"%d 0 R" % (3 + number * 3) for number in range(len(document)))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(document))
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % pair for pair in enumerate(objects, start=1))
    return b"%PDF-1.4\n" + body + b"trailer << /Root 1 0 R /Size %d >>\n%%%%EOF" % (len(objects) + 1)


@pytest.fixture
def saved(tmp_path):
    def save(content):
        path = tmp_path / "stored"
        path.write_bytes(content)
        return path

    return save


@pytest.fixture
def failure(saved):
    async def call(content, **limits):
        with pytest.raises(ExtractionFailed) as caught:
            await read(saved(content), media_types.PDF, **limits)
        return caught.value.failure.code

    return call


@needs_tesseract
async def test_pictures_of_text_are_read_page_by_page(saved):
    told = []
    pages = ["HERONS FISH AT DAWN", "", "Geese fly south", "and so on", "The fifth page"]

    extracted = await read(saved(scan(*pages)), media_types.PDF, progress=lambda *pages: told.append(pages))

    assert [(section.page, section.text) for section in extracted.sections] == [
        (1, "HERONS FISH AT DAWN"),
        (3, "Geese fly south"),
        (4, "and so on"),
        (5, "The fifth page"),
    ]
    assert told[-5:] == [(number, 5) for number in range(1, 6)]


@needs_tesseract
async def test_pictures_without_text_say_so(failure):
    assert await failure(scan("", "")) == "ocr_empty"


async def test_without_tesseract_the_reason_is_that_there_are_only_pictures(failure, monkeypatch):
    monkeypatch.setattr(ocr.shutil, "which", lambda name: None)

    assert await failure(scan("HERONS")) == "image_only"


def test_only_pdfs_are_recognised():
    assert not ocr.is_possible(media_types.DOCX)


@needs_tesseract
async def test_more_scanned_pages_than_the_operator_wants_are_refused(failure, monkeypatch):
    monkeypatch.setenv("OCR_MOST_PAGES", "1")

    assert await failure(scan("one", "two")) == "ocr_too_long"


@pytest.fixture
def tesseract(monkeypatch, tmp_path):
    """A program in place of Tesseract: `tesseract("echo text")`. It can list its languages."""

    def install(script, languages="osd eng deu"):
        program = tmp_path / "tesseract"
        listed = "\\n".join(["List of languages:", *languages.split()])
        program.write_text(f"#!/bin/sh\nif [ \"$1\" = --list-langs ]; then printf '{listed}\\n'; exit; fi\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(ocr.shutil, "which", lambda name: str(program))

    return install


@pytest.fixture
def drawn(monkeypatch):
    """Children that draw what a test says, without a sandbox; pictures are read by what stands in for Tesseract."""
    servers = []

    def start(answer):
        code = f"""
            if job["do"] == "recognise":
                os.execv("/bin/sh", ["sh", "-c", "exec " + " ".join(job["arguments"]) + " <&3 >&3"])
            elif job["do"] == "draw":
                os.write(answer, {answer!r})
            elif job["do"] == "tell":
                say(language="en")
            else:
                say(failure="image_only")
        """
        servers.append(stand_in(code))
        monkeypatch.setattr(processes, "SERVER", servers[-1])

    yield start
    for server in servers:
        server.close()


async def languages_asked(saved, tesseract, drawn, languages):
    tesseract('cat >/dev/null; echo "$@"', languages)
    drawn(A_PAGE)
    (section,) = (await read(saved(b"x"), media_types.PDF)).sections
    return section.text.split()


@pytest.mark.parametrize(
    ("installed", "asked"), [("osd eng deu", "eng+deu"), ("osd spa xyz", "spa"), ("osd xyz abc", "xyz")]
)
async def test_languages_are_those_the_operator_wants_or_else_what_there_is(saved, tesseract, drawn, installed, asked):
    assert await languages_asked(saved, tesseract, drawn, installed) == ["stdin", "stdout", "--dpi", "300", "-l", asked]


async def test_a_program_that_takes_too_long_for_a_page_is_stopped(tesseract, drawn, failure, monkeypatch):
    monkeypatch.setenv("OCR_SECONDS_PER_PAGE", "1")
    tesseract("exec sleep 60")
    drawn(A_PAGE)

    assert await failure(b"x") == "too_slow"


async def test_a_program_that_says_far_more_than_a_page_is_stopped(tesseract, drawn, failure):
    tesseract("exec yes")
    drawn(A_PAGE)

    assert await failure(b"x") == "too_big"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no JSON\n",
        b"[]\n",
        b"{}\n",
        b'{"picture": [1, 1]}\n',
        b'{"picture": [1, 1, 20]}\nP5',
        b'{"picture": [1, 1, 0]}\n',
        b'{"picture": [1, 1, -4]}\nP5',
        b'{"picture": [2, 2, 2]}\nP5',
        b'{"failure": "because"}\n',
        b"no end",
    ],
)
async def test_a_drawing_that_makes_no_sense_means_a_damaged_file(tesseract, drawn, failure, answer):
    tesseract("cat")
    drawn(answer)

    assert await failure(b"x") == "corrupt"


async def test_a_page_that_cannot_be_drawn_says_why(tesseract, drawn, failure):
    tesseract("cat")
    drawn(b'{"failure": "too_big"}\n')

    assert await failure(b"x") == "too_big"
