"""Files that strangers make to break a reader. Each ends with the right reason, or as the right text."""

import io
import os
from pathlib import Path
from uuid import UUID

import pytest

from apps.knowledge import media_types
from apps.knowledge.extraction import kept, ocr, processes
from apps.knowledge.extraction.failures import ExtractionFailed
from tests.knowledge import files
from tests.knowledge.hostile_archives import ARCHIVES
from tests.knowledge.hostile_files import Says
from tests.knowledge.hostile_office import OFFICE
from tests.knowledge.hostile_pdfs import PDFS
from tests.knowledge.hostile_texts import TEXTS
from tests.knowledge.readers import MIB, gone, read

EVERY_KIND = [*ARCHIVES, *OFFICE, *PDFS, *TEXTS]
# All are one creator's: small ones meet first the child that is kept for the next of them.
OWNER = UUID(int=7)


@pytest.fixture(autouse=True)
def without_text_recognition(monkeypatch):
    """A page without text is the end, whether Tesseract is installed or not."""
    monkeypatch.setattr(ocr.shutil, "which", lambda name: None)


@pytest.fixture(scope="module")
def held_before():
    """What the worker and its server hold once everything is loaded."""
    return {}


async def outcome(path, filename, content, memory_bytes=256 * MIB):
    path.write_bytes(content)
    media_type = media_types.detect_media_type(io.BytesIO(content), filename)
    try:
        extracted = await read(path, media_type, seconds=20, memory_bytes=memory_bytes, owner=OWNER)
    except ExtractionFailed as failed:
        return failed.failure.code
    return Says("\n\n".join(section.text for section in extracted.sections))


async def test_a_harmless_file_is_read(tmp_path, held_before):
    assert await outcome(tmp_path / "a", "a.pdf", files.pdf("Herons")) == Says("Herons")
    held_before.update(server=processes.SERVER.pid, bytes=processes.resident_bytes(os.getpid()))


@pytest.mark.parametrize("hostile", EVERY_KIND, ids=str)
async def test_a_hostile_file_ends_with_the_right_reason_or_text(tmp_path, hostile):
    ended = await outcome(tmp_path / "a", hostile.filename, hostile.make(), hostile.memory_bytes)

    if isinstance(hostile.ends, Says) and isinstance(ended, Says):
        assert hostile.ends.is_said_by(ended.text), (ended.text[:300], len(ended.text))
    else:
        assert ended == hostile.ends


async def test_after_all_of_them_the_worker_is_as_it_was(tmp_path, held_before):
    assert await outcome(tmp_path / "a", "a.pdf", files.pdf("Herons")) == Says("Herons")

    server = processes.SERVER.pid
    assert held_before["server"] == server
    kept.close_all()
    for child in map(int, Path(f"/proc/{server}/task/{server}/children").read_text().split()):
        await gone(child)
    assert processes.resident_bytes(os.getpid()) - held_before["bytes"] < 128 * MIB


def test_there_are_many_kinds_and_each_has_a_name_of_its_own():
    assert len({hostile.title for hostile in EVERY_KIND}) == len(EVERY_KIND) > 100
