"""Servers and children of these tests' own: they are killed, restarted and asked for what they should refuse."""

import sys

import psutil
import pytest

from shared.embedded import process
from shared.embedded.testing import temporary_servers
from tests.embedded.waiting import eventually


@pytest.fixture(scope="module")
def servers():
    with temporary_servers() as servers:
        yield servers


@pytest.fixture
def start_python():
    """Start a Python program as a child of ours; whatever the test does, it is gone afterwards."""
    children = []

    def start(code, **options):
        child = process.start("a program", [sys.executable, "-c", code], **options)
        children.append(child)
        return child

    yield start
    for child in children:
        child.stop(patience=0)


@pytest.fixture
def gone():
    """Wait until a process has ended."""

    def gone(pid):
        def ended():
            try:
                return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
            except psutil.NoSuchProcess:
                return True

        return eventually(ended)

    return gone
