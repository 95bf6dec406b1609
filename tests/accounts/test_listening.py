"""Who may still hear a creator's news: many proofs, by token and by session, checked in one visit."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from apps.accounts.authentication import claims_of
from apps.accounts.models import Creator, Membership, RefreshFamily
from apps.accounts.services import load_session_listening, still_listening
from apps.accounts.services.actors import SESSION_CREATOR
from apps.accounts.services.listening import TokenProof
from shared.tenancy.live import Listening
from tests.fixtures.service_integration_fixtures import HubClient

pytestmark = pytest.mark.django_db


def by_token(person):
    return Listening(person.actor, TokenProof(claims_of(person.headers["Authorization"])))


def by_session(person, *, chosen=True):
    """As after signing in, which names the creator; the admin's sign-in does not."""
    client = person.browse(HubClient())
    session = client.session
    if chosen:
        session[SESSION_CREATOR] = str(person.creator.id)
        session.save()
    return load_session_listening(key=session.session_key)


def change_session(listening, **values):
    store = SessionStore(listening.proof.key)
    store.update(values)
    store.save()


def new_password(person):
    person.user.set_password("another horse battery")
    person.user.save()


def not_active(person):
    person.user.is_active = False
    person.user.save(update_fields=["is_active"])


def no_member(person):
    Membership.objects.filter(user=person.user).delete()


def member_elsewhere(person):
    Membership.objects.filter(user=person.user).update(creator=Creator.objects.get(display_name="Umbrella"))


ENDINGS = {"password": new_password, "active": not_active, "member": no_member, "elsewhere": member_elsewhere}


def test_a_session_of_nobody_listens_to_nothing():
    nobody = SessionStore()
    nobody.create()

    assert [load_session_listening(key=key) for key in (nobody.session_key, "made-up")] == [None, None]


def test_all_that_hold_stay_in_their_order(alice, bob, mallory):
    listening = [by_token(alice), by_session(bob), by_session(mallory), by_token(bob), by_session(alice)]

    assert still_listening(listening=listening) == listening
    assert still_listening(listening=listening[::-1]) == listening[::-1]


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("way", [by_token, by_session])
def test_who_has_lost_the_ground_goes_and_the_others_stay(alice, bob, mallory, way, end):
    listening = [by_token(alice), way(bob), by_session(mallory)]
    end(bob)

    assert still_listening(listening=listening) == [listening[0], None, listening[2]]


def test_a_sign_in_that_has_ended_ends_its_token_only(alice, bob):
    listening = [by_token(alice), by_session(alice), by_token(bob)]
    RefreshFamily.objects.filter(user=alice.user).update(revoked_at=timezone.now())

    assert still_listening(listening=listening) == [None, *listening[1:]]


def test_a_token_that_has_expired_goes(alice):
    one = by_token(alice)
    late = replace(one.proof.claims, expires_at=int(time.time()) - 1)

    assert still_listening(listening=[Listening(one.actor, TokenProof(late)), one]) == [None, one]


def test_a_session_that_has_ended_or_expired_goes(alice, bob):
    ended, expired = by_session(alice), by_session(bob)
    Session.objects.filter(session_key=ended.proof.key).delete()
    Session.objects.filter(session_key=expired.proof.key).update(expire_date=timezone.now() - timedelta(seconds=1))

    assert still_listening(listening=[ended, expired]) == [None, None]


def test_a_session_that_has_gone_over_to_another_creator_goes(alice, umbrella):
    Membership.objects.create(user=alice.user, creator=umbrella, role="viewer")
    one = by_session(alice)
    change_session(one, **{SESSION_CREATOR: str(umbrella.id)})

    assert still_listening(listening=[one]) == [None]


def test_a_session_that_has_changed_otherwise_stays_with_what_it_is_now(alice):
    one = by_session(alice)
    change_session(one, seen="today")

    (anew,) = still_listening(listening=[one])

    assert anew.actor == one.actor
    assert anew.proof != one.proof
    assert still_listening(listening=[anew]) == [anew]


def test_a_session_that_names_no_creator_follows_its_persons_memberships(alice, umbrella):
    one = by_session(alice, chosen=False)
    assert still_listening(listening=[one]) == [one]

    elsewhere = Membership.objects.create(user=alice.user, creator=umbrella, role="viewer")
    Membership.objects.filter(id=elsewhere.id).update(created_at=timezone.now() - timedelta(days=9))  # the oldest

    assert still_listening(listening=[one]) == [None]


def test_nobody_stays_by_somebody_elses_token(alice, bob):
    assert still_listening(listening=[Listening(alice.actor, by_token(bob).proof)]) == [None]


def test_nobody_stays_by_a_proof_of_another_kind(alice):
    assert still_listening(listening=[Listening(alice.actor, "my word")]) == [None]


@pytest.mark.parametrize("times", [1, 10])
def test_however_many_take_three_queries(alice, bob, mallory, times, django_assert_num_queries):
    listening = [by_token(alice), by_session(bob), by_session(mallory)] * times

    with django_assert_num_queries(3):
        assert still_listening(listening=listening) == listening
