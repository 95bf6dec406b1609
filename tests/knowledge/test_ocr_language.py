"""The language of a scan: told in a process of its own, from what text recognition read."""

import shutil

import pytest

from apps.knowledge import media_types
from apps.knowledge.extraction import ocr, processes
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.sections import Section
from tests.knowledge.readers import read, stand_in
from tests.knowledge.test_ocr import scan

GERMAN = "Der Reiher steht am frühen Morgen still im flachen Wasser und wartet auf die Fische."


@pytest.mark.skipif(not shutil.which("tesseract"), reason="needs Tesseract")
async def test_a_scan_says_its_language(tmp_path):
    path = tmp_path / "stored"
    path.write_bytes(scan("The heron stands in shallow water", "and waits there for the fish of the morning"))

    assert (await read(path, media_types.PDF)).language == "en"


async def test_the_language_of_recognised_text_is_told_whatever_its_letters():
    sections = [Section(GERMAN, page=1), Section("\udc80 Gänse ziehen im Herbst nach Süden.", page=2)]

    assert await ocr.language_of(sections, memory_bytes=2**30) == "de"


@pytest.mark.parametrize("said", ["[]", "{}", "nonsense"])
async def test_nonsense_instead_of_a_language_means_a_damaged_file(monkeypatch, said):
    monkeypatch.setattr(processes, "SERVER", stand_in(f"os.write(answer, {said.encode()!r})"))

    with pytest.raises(ExtractionFailed) as caught:
        await ocr.language_of([Section("x")], memory_bytes=2**30)
    processes.SERVER.close()
    assert caught.value.failure.code == "corrupt"
