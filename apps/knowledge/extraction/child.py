"""The process that opens untrusted files: `python -m apps.knowledge.extraction.child`.

Arguments: path, media type, seconds, bytes of memory, the parent's process id. Writes one JSON object to its standard
output: `{"sections": [[text, page, heading, seconds], ...], "language": "en"}` or `{"failure": code}`. Whatever else
happens, the parent judges by how the process ended.
"""

import json
import os
import sys
from pathlib import Path

from apps.knowledge.extraction import sandbox
from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats import read_sections


def main(arguments: list[str]) -> None:
    """Give up everything, read the file, answer."""
    path, media_type, seconds, memory_bytes, parent = arguments
    # Libraries that print would spoil the answer.
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sandbox.enter(seconds=int(seconds), memory_bytes=int(memory_bytes), parent=int(parent))
    try:
        sections = read_sections(Path(path), media_type)
        fields = [[s.text, s.page, s.heading, s.seconds] for s in sections]
        said: dict[str, object] = {"sections": fields, "language": ""}
    except ExtractionFailed as failed:
        said = {"failure": failed.failure.code}
    except MemoryError:
        said = {"failure": "too_big"}
    with os.fdopen(answer, "wb") as out:
        out.write(json.dumps(said).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
