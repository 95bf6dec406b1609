"""A hub for the tests of a file."""

from collections.abc import Iterator

import pytest

from shared.embedded.testing import temporary_servers
from tests.faults.own_hub import OwnHub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnHub]:
    """One hub for the tests of a file; each test leaves it whole."""
    with temporary_servers() as servers:
        own = OwnHub(servers, tmp_path_factory.mktemp("data"))
        try:
            yield own
        finally:
            own.stop()
