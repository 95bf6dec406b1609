"""What a reader reads: a file on this machine, or the whole content of one."""

from io import BytesIO
from pathlib import Path
from typing import IO

type Source = Path | bytes


def whole(source: Source) -> bytes:
    """All of it."""
    return source if isinstance(source, bytes) else source.read_bytes()


def opened(source: Source) -> IO[bytes]:
    """It as an open file, for whoever closes it."""
    return BytesIO(source) if isinstance(source, bytes) else source.open("rb")
