import pytest

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats import read_sections


@pytest.fixture
def read(tmp_path):
    """The sections of a file with this content: `read(b"hello", media_types.TEXT)`."""

    def call(content, media_type, **options):
        path = tmp_path / "stored"
        path.write_bytes(content)
        return read_sections(path, media_type, **options)

    return call


@pytest.fixture
def refused(read):
    """The reason why such a file is not read."""

    def call(content, media_type):
        with pytest.raises(ExtractionFailed) as caught:
            read(content, media_type)
        return caught.value.failure.code

    return call
