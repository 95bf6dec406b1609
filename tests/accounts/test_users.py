"""Users: one spelling of an address, held by the database as well."""

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from apps.accounts.models import Creator, Membership, RefreshFamily, User
from apps.accounts.services import EmailTaken, membership_still_holds, register_creator
from shared.security.passwords import HubArgon2PasswordHasher

pytestmark = pytest.mark.django_db


def test_the_database_refuses_a_second_spelling(alice):
    with pytest.raises(IntegrityError, match="user_email_in_lower_case"), transaction.atomic():
        User.objects.create(email="Alice@Acme.example.com", display_name="Alice again")


def test_the_database_refuses_the_same_address_twice(alice):
    with pytest.raises(IntegrityError, match="user_email_once"), transaction.atomic():
        User.objects.create(email=alice.email, display_name="Alice again")


def test_the_database_refuses_an_unknown_role(alice, umbrella):
    with pytest.raises(IntegrityError, match="membership_role_is_known"), transaction.atomic():
        Membership.objects.create(user=alice.user, creator=umbrella, role="emperor")


def test_a_person_belongs_to_a_creator_once(alice):
    with pytest.raises(IntegrityError, match="membership_once"), transaction.atomic():
        Membership.objects.create(user=alice.user, creator=alice.creator, role="viewer")


def test_a_taken_address_leaves_the_transaction_usable(alice):
    with pytest.raises(EmailTaken):
        register_creator(email=alice.email, password_hash="argon2$x", display_name="Alice again")

    assert Creator.objects.count() == 1


def test_a_defect_is_not_called_a_taken_address(alice, monkeypatch):
    monkeypatch.setattr(User.objects, "normalize_email", str)

    with pytest.raises(IntegrityError):
        register_creator(email="UPPER@example.com", password_hash="argon2$x", display_name="Upper")


def test_a_membership_holds_while_both_sides_do(alice, umbrella):
    assert membership_still_holds(user_id=alice.user.id, creator_id=alice.creator.id)
    assert not membership_still_holds(user_id=alice.user.id, creator_id=umbrella.id)

    User.objects.update(is_active=False)
    assert not membership_still_holds(user_id=alice.user.id, creator_id=alice.creator.id)


def test_createsuperuser_makes_staff(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery")

    call_command("createsuperuser", "--no-input", email="Root@Example.com", display_name="Root")

    root = User.objects.get_by_natural_key("ROOT@example.com")
    assert (root.email, root.is_staff, root.is_superuser) == ("root@example.com", True, True)
    assert root.check_password("correct horse battery")
    assert root.get_full_name() == root.get_short_name() == "Root"
    assert not root.memberships.exists()


def test_a_new_password_ends_every_sign_in(client, alice, bob):
    alice.user.set_password("another horse battery")
    alice.user.save()

    assert client.get("/api/v1/auth/me", headers=alice.headers).status_code == 401
    assert client.get("/api/v1/auth/me", headers=bob.headers).status_code == 200
    assert RefreshFamily.objects.get(user=alice.user).reason == RefreshFamily.Reason.NEW_PASSWORD


def test_a_stronger_hash_of_the_same_password_ends_nothing(client, alice, monkeypatch):
    monkeypatch.setattr(HubArgon2PasswordHasher, "time_cost", 2)

    assert alice.user.check_password(alice.password)

    assert "t=2" in User.objects.get(id=alice.user.id).password
    assert client.get("/api/v1/auth/me", headers=alice.headers).status_code == 200
