"""Signed-in browsers' stand-ins: Django's client, with the forms' token checked as in production."""

import pytest
from django.test import Client


@pytest.fixture
def alices_pages(alice):
    return alice.browse(Client(raise_request_exception=False))


@pytest.fixture
def bobs_pages(bob):
    return bob.browse(Client(raise_request_exception=False))


@pytest.fixture
def mallorys_pages(mallory):
    return mallory.browse(Client(raise_request_exception=False))
