"""People on the pages: with Django's client, which is fast, and with Chromium, which is real."""

import pytest
from django.core.management import call_command
from playwright.sync_api import sync_playwright

from tests.fixtures.service_integration_fixtures import HubClient
from tests.pages.browser import CHROMIUM, FLAGS, VisitedHub, Visitor


@pytest.fixture
def alices_pages(alice):
    return alice.browse(HubClient())


@pytest.fixture
def bobs_pages(bob):
    return bob.browse(HubClient())


@pytest.fixture
def mallorys_pages(mallory):
    return mallory.browse(HubClient())


@pytest.fixture(scope="module")
def hub(django_db_setup, django_db_blocker, tmp_path_factory):
    """A hub to visit. What its visitors leave behind is cleared away afterwards."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: pages in a real browser are not tested (apt-get install chromium)")
    hub = VisitedHub(tmp_path_factory.mktemp("visited"))
    try:
        yield hub
    finally:
        hub.stop()
        with django_db_blocker.unblock():
            call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="module")
def chromium(hub):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(hub, chromium):
    """Makes visitors. At the end of the test none of them may have anything to complain about."""
    visitors = []

    def make(**options):
        visitors.append(Visitor(hub, chromium.new_context(viewport={"width": 1280, "height": 860}, **options)))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.context.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []
