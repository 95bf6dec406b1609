"""The worker's side of extraction: have a child read the file, watch its clock, judge how it ended."""

import asyncio
from pathlib import Path
from uuid import UUID

from apps.knowledge.extraction import kept, ocr
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.heard import Extracted, Heard, Progress
from apps.knowledge.extraction.processes import run_child
from shared.config.env_constants import get_env_value


async def extract(
    path: Path,
    media_type: str,
    *,
    owner: UUID | None = None,
    seconds: int,
    memory_bytes: int,
    progress: Progress | None = None,
) -> Extracted:
    """Read a file in a child process, bounded in time and memory and cut off from network and other files.

    A small file may share its child with others of the same `owner` (see kept.py); any other has one of its own. That
    gets `seconds` to start with and more for every page it reads (EXTRACTION_SECONDS_PER_PAGE), up to a ceiling
    (EXTRACTION_MOST_SECONDS). A PDF of pictures goes through text recognition where Tesseract is installed; then
    `progress` counts from its first page again. Raises `ExtractionFailed`. Cancelling this kills the child and
    everything it started.
    """
    most = max(seconds, get_env_value("EXTRACTION_MOST_SECONDS", fallback=True))
    tell = progress or (lambda done, total: None)
    try:
        async with asyncio.timeout(most):
            read = owner and await kept.read_small(owner, path, media_type, memory_bytes=memory_bytes)
            if read is not None:
                return read
            try:
                return await _read(path, media_type, seconds, most, memory_bytes, tell)
            except ExtractionFailed as failed:
                if failed.failure.code != "image_only" or not ocr.is_possible(media_type):
                    raise
            sections = await ocr.recognise(path, memory_bytes=memory_bytes, progress=tell)
            return Extracted(sections, await ocr.language_of(sections, memory_bytes=memory_bytes))
    except TimeoutError:
        raise ExtractionFailed("too_slow") from None


async def _read(
    path: Path, media_type: str, seconds: float, most: float, memory_bytes: int, tell: Progress
) -> Extracted:
    per_page = get_env_value("EXTRACTION_SECONDS_PER_PAGE", fallback=True)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(seconds) as clock:

        def turned(done: int, total: int) -> None:
            clock.reschedule(began + min(seconds + per_page * done, most))
            tell(done, total)

        answer = Heard(turned)
        job = {"do": "read", "path": str(path), "media_type": media_type, "seconds": most}
        await run_child(job, memory_bytes=memory_bytes, answer=answer)
    return answer.extracted()
