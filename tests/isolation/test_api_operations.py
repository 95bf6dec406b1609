"""Each operation of the API, tried by the owner, by another creator with the owner's ids, and by nobody."""

import json
from contextlib import contextmanager
from uuid import UUID

import pytest
from django.db import transaction

from apps.accounts.models import Creator, Membership, RefreshFamily, User
from apps.knowledge.models import Version
from shared.security.tokens import issue_access_token
from shared.tenancy.actor import Role
from shared.tenancy.scope import creator_scope
from tests.isolation.answers import Answer, shape
from tests.isolation.evidence import belongings_of, rows_of
from tests.isolation.operations import CALLS, PUBLIC_OPERATIONS, every_operation
from tests.isolation.world import build_acme, put_files_back

OPERATIONS = every_operation()
every = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
naming = pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if (call := CALLS.get(str(o))) and call.names_things], ids=str
)
protected = pytest.mark.parametrize("operation", [o for o in OPERATIONS if str(o) not in PUBLIC_OPERATIONS], ids=str)
posting = pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.method == "POST"], ids=str)

# Before there is an account, the key belongs to whoever sends the same address and the same password.
REGISTER = "/api/v1/auth/register"
# Ids by which people sign in, not things of a creator that a call could name.
CREDENTIALS = ("email", "password", "refresh_token")


def mixed(foreign, own):
    """A creator's ids, in the hands of somebody with other credentials."""
    return foreign.things | {name: own.things[name] for name in CREDENTIALS}


@contextmanager
def undone(world):
    """Let something happen, then take it back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    put_files_back(world)


def test_every_operation_has_its_call_and_every_call_its_operation():
    assert {str(operation) for operation in OPERATIONS} == set(CALLS)


def test_every_tenant_table_has_a_row_of_acmes_to_be_betrayed(acme_world):
    assert [table for table, rows in rows_of(acme_world.creator_id).items() if rows == "[]"] == []


@every
def test_the_owner_succeeds(client, alice, acme_world, operation):
    call = CALLS[str(operation)]

    answer = Answer.of(operation.send(client, call, acme_world.things, **alice.headers))

    assert answer.status == call.status, answer.everything
    assert [word for word in call.shows if word.lower() not in answer.everything.lower()] == []


@naming
def test_another_creator_cannot_tell_it_exists(client, alice, mallory, acme_world, umbrella_world, nothing, operation):
    call = CALLS[str(operation)]
    nothing |= {name: umbrella_world.things[name] for name in CREDENTIALS}
    with undone(acme_world):
        assert operation.send(client, call, acme_world.things, **alice.headers).status_code == call.status
    before = belongings_of(acme_world.creator_id)

    with transaction.atomic():  # undone, since a refresh token is good for one call
        missing = Answer.of(operation.send(client, call, nothing, **mallory.headers))
        transaction.set_rollback(True)
    foreign = Answer.of(operation.send(client, call, mixed(acme_world, umbrella_world), **mallory.headers))

    assert as_if_the_same_was_asked(foreign) == as_if_the_same_was_asked(missing)
    assert acme_world.words_in(foreign.everything) == []
    assert belongings_of(acme_world.creator_id) == before


def as_if_the_same_was_asked(answer):
    """Sign-in answers with new tokens each time; nothing else may differ."""
    return shape(answer) if b"access_token" in answer.body else answer


@every
def test_another_creators_answer_holds_none_of_acmes_words_and_changes_nothing(
    client, alice, mallory, acme_world, umbrella_world, operation
):
    call = CALLS[str(operation)]
    with undone(acme_world):
        assert operation.send(client, call, acme_world.things, **alice.headers).status_code == call.status
    before = belongings_of(acme_world.creator_id)

    for things in (mixed(acme_world, umbrella_world), umbrella_world.things):
        with transaction.atomic():
            answer = Answer.of(operation.send(client, call, things, **mallory.headers))
            transaction.set_rollback(True)
        assert acme_world.words_in(answer.everything) == []
        assert answer.status < 500
    assert belongings_of(acme_world.creator_id) == before


@every
def test_another_creators_answer_does_not_depend_on_acme(client, alice, mallory, umbrella_world, operation):
    call = CALLS[str(operation)]
    answers = []
    for acme_exists in (False, True):
        with transaction.atomic():
            if acme_exists:
                build_acme(alice.actor)
            answers.append(
                shape(Answer.of(operation.send(client, call, dict(umbrella_world.things), **mallory.headers)))
            )
            transaction.set_rollback(True)

    assert answers[0] == answers[1]
    assert umbrella_world.things  # the call named Umbrella's own


@every
def test_nobody_gets_in_without_a_token(client, acme_world, operation):
    call = CALLS[str(operation)]
    before = belongings_of(acme_world.creator_id)

    answer = Answer.of(operation.send(client, call, acme_world.things))

    if str(operation) in PUBLIC_OPERATIONS:
        assert answer.status == call.status
        return
    assert answer.status == 401
    assert dict(answer.headers)["www-authenticate"].startswith("Bearer")
    assert dict(answer.headers)["content-type"] == "application/problem+json"
    assert acme_world.words_in(answer.everything) == []
    assert belongings_of(acme_world.creator_id) == before


@every
def test_the_document_says_which_operations_need_a_token(operation):
    assert ("security" in operation.details) == (str(operation) not in PUBLIC_OPERATIONS)


@protected
def test_a_signed_token_does_not_open_a_creator_without_a_membership(client, mallory, acme_world, operation):
    family = RefreshFamily.objects.get(user=mallory.user)
    for session_id in (family.id, RefreshFamily.objects.get(creator=acme_world.creator_id).id):
        token = issue_access_token(user_id=mallory.user.id, creator_id=acme_world.creator_id, session_id=session_id)

        answer = Answer.of(
            operation.send(client, CALLS[str(operation)], acme_world.things, Authorization=f"Bearer {token}")
        )

        assert answer.status == 401
        assert acme_world.words_in(answer.everything) == []


@protected
def test_a_session_cookie_opens_no_operation(client, alice, acme_world, operation):
    answer = Answer.of(operation.send(alice.browse(client), CALLS[str(operation)], acme_world.things))

    assert answer.status == 401


@protected
def test_a_lost_membership_counts_at_once(client, alice, acme_world, operation):
    Membership.objects.filter(user=alice.user).delete()

    answer = Answer.of(operation.send(client, CALLS[str(operation)], acme_world.things, **alice.headers))

    assert answer.status == 401
    assert acme_world.words_in(answer.everything) == []


@protected
def test_a_token_of_one_creator_does_not_reach_ones_other_creator(client, mallory, alice, acme_world, operation):
    """Mallory belongs to Acme as well now, but this token says Umbrella."""
    Membership.objects.create(user=mallory.user, creator=alice.creator, role=Role.OWNER)

    answer = Answer.of(operation.send(client, CALLS[str(operation)], acme_world.things, **mallory.headers))

    assert [word for word in acme_world.words_in(answer.everything) if word != alice.email] == []


@posting
def test_a_repeated_post_gets_the_same_answer_and_has_one_effect(client, alice, acme_world, operation):
    call = CALLS[str(operation)]
    headers = {**alice.headers, "Idempotency-Key": "k1"}

    first = Answer.of(operation.send(client, call, acme_world.things, **headers))
    once = effects_on(acme_world.creator_id), accounts_in_all()
    second = Answer.of(operation.send(client, call, acme_world.things, **headers))

    assert first.status == call.status
    if str(operation) == "POST /api/v1/auth/logout":
        assert second.status == 401  # the sign-in that could be answered again is gone: that was the effect
    else:
        assert second == first
    assert (effects_on(acme_world.creator_id), accounts_in_all()) == once


def effects_on(creator_id):
    """What a creator has. How often it changed is counted per transaction, and this test's is never committed."""
    have = belongings_of(creator_id)
    return {**have, "rows": {table: rows for table, rows in have["rows"].items() if table != "tenancy_revision"}}


def accounts_in_all():
    return [model.objects.count() for model in (User, Creator, Membership, RefreshFamily)]


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.method == "POST" and o.path != REGISTER], ids=str)
def test_another_creator_with_the_same_idempotency_key_gets_none_of_acmes_answer(
    client, alice, mallory, acme_world, umbrella_world, operation
):
    call = CALLS[str(operation)]
    first = Answer.of(operation.send(client, call, acme_world.things, **alice.headers, **{"Idempotency-Key": "k1"}))
    assert first.status == call.status

    things = mixed(acme_world, umbrella_world)
    with transaction.atomic():
        without = Answer.of(operation.send(client, call, things, **mallory.headers))
        transaction.set_rollback(True)
    foreign = Answer.of(operation.send(client, call, things, **mallory.headers, **{"Idempotency-Key": "k1"}))

    assert shape(foreign) == shape(without)
    assert acme_world.words_in(foreign.everything) == []


def test_the_same_content_is_new_to_another_creator(client, alice, mallory, acme_world, umbrella_world):
    upload = next(operation for operation in OPERATIONS if str(operation) == "POST /api/v1/documents")
    same = CALLS[str(upload)].__class__(0, form={"file": ("mine.txt", acme_world.content)})

    for_alice = upload.send(client, same, {}, **alice.headers)
    for_mallory = upload.send(client, same, {}, **mallory.headers)

    assert (for_alice.status_code, for_alice.json()["id"]) == (200, acme_world.things["handbook"])
    assert for_mallory.status_code == 202
    assert for_mallory.json()["id"] != acme_world.things["handbook"]
    assert acme_world.words_in(json.dumps(for_mallory.json())) == []


def test_two_creators_files_never_share_a_path(client, alice, mallory, acme_world):
    upload = next(operation for operation in OPERATIONS if str(operation) == "POST /api/v1/documents")
    same = CALLS[str(upload)].__class__(0, form={"file": ("mine.txt", acme_world.content)})
    upload.send(client, same, {}, **mallory.headers)

    def paths(person):

        with creator_scope(UUID(str(person.creator.id))):
            return set(Version.objects.values_list("storage_path", flat=True))

    assert all(alice.creator.id.hex in path for path in paths(alice))
    assert all(mallory.creator.id.hex in path for path in paths(mallory))
