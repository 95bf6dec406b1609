"""Dashboard sessions: who a browser acts as, and for how long."""

import json

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import path

from apps.accounts import authentication
from apps.accounts.models import Membership, User
from apps.accounts.services import Credentials, InvalidCredentials, NoCreator
from shared.exceptions import NotAuthenticated
from shared.security.tokens import TokenInvalid
from tests.fixtures.auth_fixtures import PASSWORD
from tests.fixtures.service_integration_fixtures import HubClient


async def who(request: HttpRequest) -> HttpResponse:
    actor = request.actor
    return HttpResponse(json.dumps(actor and {"creator": str(actor.creator_id), "role": actor.role}))


async def come_in(request: HttpRequest) -> HttpResponse:
    credentials = await authentication.verify_credentials(request.GET["email"], PASSWORD)
    await authentication.sign_in(request, credentials)
    return HttpResponse()


async def go_out(request: HttpRequest) -> HttpResponse:
    await authentication.sign_out(request)
    return HttpResponse()


urlpatterns = [path("who", who), path("in", come_in), path("out", go_out)]
pytestmark = [pytest.mark.urls("tests.accounts.test_sessions"), pytest.mark.django_db]


def actor_in(client):
    return json.loads(client.get("/who").content)


def sign_in(client, person):
    return client.get("/in", {"email": person.email})


def socket_of(client, **headers):
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    raw = {"cookie": cookies, **headers}
    return {"headers": [(name.encode(), value.encode("latin-1")) for name, value in raw.items()]}


def actor_of_socket(scope):
    listening = async_to_sync(authentication.doorkeeper.admit)(scope)
    return listening and listening.actor


def test_a_stranger_is_nobody(client):
    assert actor_in(client) is None


def test_a_browser_acts_for_the_creator_of_its_person(client, bob):
    sign_in(client, bob)

    assert actor_in(client) == {"creator": str(bob.creator.id), "role": "viewer"}


def test_signing_in_changes_the_sessions_key(client, alice, bob):
    sign_in(client, alice)
    before = client.cookies[settings.SESSION_COOKIE_NAME].value
    sign_in(client, bob)

    assert client.cookies[settings.SESSION_COOKIE_NAME].value != before
    assert not Session.objects.filter(session_key=before).exists()


def test_signing_out_ends_the_session_for_whoever_has_its_key(client, alice):
    sign_in(client, alice)
    thief = HubClient()
    thief.cookies = client.cookies.copy()

    client.get("/out")

    assert actor_in(client) is None
    assert actor_in(thief) is None
    assert not Session.objects.exists()


def test_losing_the_membership_counts_at_once(client, alice):
    sign_in(client, alice)
    Membership.objects.all().delete()

    assert actor_in(client) is None


def test_a_session_does_not_wander_to_another_creator(client, alice, umbrella):
    sign_in(client, alice)
    Membership.objects.filter(creator=alice.creator).delete()
    Membership.objects.create(user=alice.user, creator=umbrella, role="owner")

    assert actor_in(client) is None


def test_a_new_password_ends_the_session(client, alice):
    sign_in(client, alice)
    alice.user.set_password("another horse battery")
    alice.user.save()

    assert actor_in(client) is None


def test_being_made_inactive_ends_the_session(client, alice):
    sign_in(client, alice)
    User.objects.update(is_active=False)

    assert actor_in(client) is None


def test_a_made_up_cookie_is_nobody(client):
    client.cookies[settings.SESSION_COOKIE_NAME] = "x" * 32

    assert actor_in(client) is None


def test_a_bearer_token_opens_no_page(client, alice):
    assert json.loads(client.get("/who", headers=alice.headers).content) is None


def test_staff_who_signed_in_at_the_admin_act_for_nobody(client, staff):
    assert actor_in(staff.browse(client)) is None


def test_a_password_that_changed_meanwhile_opens_nothing(alice):
    request = RequestFactory().get("/")
    outdated = Credentials(alice.user.id, "argon2$of-yesterday")

    with pytest.raises(InvalidCredentials):
        async_to_sync(authentication.sign_in)(request, outdated)


def test_somebody_without_a_creator_has_no_dashboard(alice):
    Membership.objects.all().delete()
    credentials = Credentials(alice.user.id, alice.user.password)

    with pytest.raises(NoCreator):
        async_to_sync(authentication.sign_in)(RequestFactory().get("/"), credentials)


def test_a_socket_is_known_by_its_session(client, alice):
    sign_in(client, alice)

    assert actor_of_socket(socket_of(client)).creator_id == alice.creator.id


def test_a_socket_is_asked_anew_each_time(client, alice):
    sign_in(client, alice)
    scope = socket_of(client)
    Session.objects.all().delete()

    with pytest.raises(NotAuthenticated):  # rather than be taken for somebody who has yet to say who they are
        actor_of_socket(scope)


def test_a_socket_may_bring_a_token_in_a_header(client, alice):
    actor = actor_of_socket(socket_of(client, authorization=alice.headers["Authorization"]))

    assert actor == alice.actor


def test_a_socket_with_a_false_token_is_refused(client):
    with pytest.raises(TokenInvalid):
        actor_of_socket(socket_of(client, authorization="Bearer x"))


def test_a_socket_with_an_empty_session_is_refused(client):
    with pytest.raises(NotAuthenticated):
        actor_of_socket(socket_of(client, cookie=f"{settings.SESSION_COOKIE_NAME}="))


@pytest.mark.parametrize("cookie", ["", "a=b", "\xff=\x00;;;=", "[]=1"])
def test_a_socket_with_any_other_cookie_is_nobody(client, cookie):
    assert actor_of_socket(socket_of(client, cookie=cookie)) is None
