"""Roles include the ones before them; an actor carries ids and a role, and survives the way through a job."""

import dataclasses
import itertools
import json

import pytest

from shared.tenancy.actor import Actor, Role, RoleRequired
from shared.tenancy.ids import uuid7

ORDER = [Role.VIEWER, Role.EDITOR, Role.ADMIN, Role.OWNER]


@pytest.mark.parametrize(("mine", "needed"), list(itertools.product(ORDER, ORDER)))
def test_a_role_includes_those_before_it(mine, needed):
    actor = Actor(user_id=uuid7(), creator_id=uuid7(), role=mine)
    if ORDER.index(mine) >= ORDER.index(needed):
        actor.require(needed)
    else:
        with pytest.raises(RoleRequired) as refused:
            actor.require(needed)
        assert refused.value.status == 403
        assert refused.value.code == "role_required"


def test_an_actor_cannot_be_changed():
    actor = Actor(user_id=uuid7(), creator_id=uuid7(), role=Role.VIEWER)
    with pytest.raises(dataclasses.FrozenInstanceError):
        actor.role = Role.OWNER


def test_a_job_carries_who_asked_as_json_and_no_session():
    actor = Actor(user_id=uuid7(), creator_id=uuid7(), role=Role.EDITOR, session_id=uuid7())
    carried = actor.to_job()

    assert set(carried) == {"user_id", "creator_id", "role"}
    assert Actor.from_job(json.loads(json.dumps(carried))) == dataclasses.replace(actor, session_id=None)


def test_a_job_with_an_unknown_role_is_refused():
    carried = Actor(user_id=uuid7(), creator_id=uuid7(), role=Role.EDITOR).to_job()
    with pytest.raises(ValueError):
        Actor.from_job({**carried, "role": "root"})
