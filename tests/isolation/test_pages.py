"""Each page, opened by the owner, by another creator with the owner's ids, and by nobody."""

import pytest
from django.db import transaction

from tests.fixtures.service_integration_fixtures import HubClient
from tests.isolation.answers import Answer, shape
from tests.isolation.evidence import belongings_of
from tests.isolation.operations import every_operation
from tests.isolation.pages import PAGES, PUBLIC_PAGES, every_page, every_route, with_braces
from tests.isolation.world import build_acme, put_files_back

EVERY = every_page()
every = pytest.mark.parametrize(("page", "call"), EVERY, ids=[f"{p}-{p.details['number']}" for p, _ in EVERY])
NAMING = [(page, call) for page, call in EVERY if call.names_things]
naming = pytest.mark.parametrize(("page", "call"), NAMING, ids=[f"{p}-{p.details['number']}" for p, _ in NAMING])
htmx = pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["whole", "htmx"])


@pytest.fixture
def browser(alice):
    """Alice's browser, signed in."""
    return alice.browse(HubClient())


@pytest.fixture
def foreign(mallory):
    """Mallory's browser, signed in."""
    return mallory.browse(HubClient())


def opened(client, page, call, things, **headers):
    """The answer, with its effects undone."""
    with transaction.atomic():
        cookies = client.cookies.output()
        answer = Answer.of(page.send(client, call, things, **headers))
        transaction.set_rollback(True)
    if client.cookies.output() != cookies:  # signed out, and taken back
        client.cookies.load(cookies.replace("Set-Cookie: ", ""))
    return answer


def test_every_route_is_a_page_an_operation_or_the_admins():
    operations = {operation.path.removeprefix("/") for operation in every_operation()}
    routes = {with_braces(route) for route in every_route() if not route.startswith("admin/")}

    assert routes - operations == set(PAGES)


@htmx
@every
def test_the_owner_succeeds(browser, acme_world, page, call, headers):
    answer = Answer.of(page.send(browser, call, acme_world.things, **headers))

    ours = {302: (302, 201, 200)}.get(call.status, (call.status,)) if headers else (call.status,)
    assert answer.status in ours, answer.everything
    if not headers:  # htmx gets parts, each with its own share of it
        assert [word for word in call.shows if word.lower() not in answer.everything.lower()] == []


@htmx
@naming
def test_another_creator_cannot_tell_it_exists(
    browser, foreign, acme_world, umbrella_world, nothing, page, call, headers
):
    assert opened(browser, page, call, acme_world.things, **headers).status < 400
    put_files_back(acme_world)
    before = belongings_of(acme_world.creator_id)

    missing = opened(foreign, page, call, nothing, **headers)
    answer = Answer.of(page.send(foreign, call, acme_world.things, **headers))

    assert answer == missing
    assert answer.status == 404
    assert acme_world.words_in(answer.everything) == []
    assert belongings_of(acme_world.creator_id) == before


@htmx
@every
def test_another_creators_page_does_not_depend_on_acme(alice, foreign, umbrella_world, page, call, headers):
    answers = []
    for acme_exists in (False, True):
        with transaction.atomic():
            if acme_exists:
                acme = build_acme(alice.actor, alice.email)
            answers.append(opened(foreign, page, call, umbrella_world.things, **headers))
            transaction.set_rollback(True)

    assert acme.words_in(answers[1].everything) == []
    if page.path not in ("/metrics", "/health/ready"):  # these count and measure
        assert shape(answers[0]) == shape(answers[1])


@every
def test_nobody_sees_a_page_of_a_creator(client, acme_world, page, call):
    before = belongings_of(acme_world.creator_id)

    answer = Answer.of(page.send(client, call, acme_world.things))

    assert acme_world.words_in(answer.everything) == []
    assert belongings_of(acme_world.creator_id) == before
    if page.path.removeprefix("/") in PUBLIC_PAGES:
        assert answer.status in (200, 404)
    else:
        assert answer.status == 302
        assert dict(answer.headers)["location"].split("?")[0] in ("/sign-in", "/documents")


@naming
def test_a_token_of_the_api_opens_no_page(client, alice, acme_world, page, call):
    answer = Answer.of(page.send(client, call, acme_world.things, **alice.headers))

    assert answer.status == 302
    assert acme_world.words_in(answer.everything) == []


@naming
def test_a_lost_membership_closes_every_page_at_once(browser, alice, acme_world, page, call):
    alice.user.memberships.all().delete()

    answer = Answer.of(page.send(browser, call, acme_world.things))

    assert answer.status == 302
    assert acme_world.words_in(answer.everything) == []


@pytest.mark.parametrize(("page", "call"), [(p, c) for p, c in EVERY if p.method == "POST"], ids=lambda x: str(x)[:40])
def test_a_form_from_another_site_does_nothing(alice, acme_world, page, call):
    strict = alice.browse(HubClient(enforce_csrf_checks=True))
    before = belongings_of(acme_world.creator_id)

    assert page.send(strict, call, acme_world.things).status_code == 403
    assert belongings_of(acme_world.creator_id) == before


def test_what_one_creator_was_shown_is_cached_for_nobody_else(browser, foreign, acme_world, umbrella_world):
    """The same address, the same kind of browser, one right after the other."""
    for address in ("/documents", "/search?q=tuned+twice"):
        mine, theirs = browser.get(address), foreign.get(address)

        assert acme_world.words_in(mine.text)
        assert acme_world.words_in(theirs.text) == []
        assert "private" in mine.headers["Cache-Control"]
        assert "no-store" in mine.headers["Cache-Control"]
