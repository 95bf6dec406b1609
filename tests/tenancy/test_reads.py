"""Reads below the doors: a token confirmed and its rows read in one message, and reads of several steps."""

from contextlib import contextmanager

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from apps.accounts.models import Membership, RefreshFamily, User
from shared.security.tokens import TokenInvalid, verify_access_token
from shared.tenancy import reads
from shared.tenancy.actor import Role
from shared.tenancy.reads import Read, SameThreadReader, ask, confirm_actor, confirm_in_transaction, read_as
from shared.tenancy.scope import NoCreatorInScope, creator_scope, current_creator
from shared.tenancy.statements import Place

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("house")]


def rooms(*, name=None, after=None):
    from tests.tenancy.house.models import Room

    found = Room.objects.order_by("name")
    if name is not None:
        found = found.filter(name=name)
    return found if after is None else found.filter(name__gt=after)


ROOMS = Read(rooms, ("name", "inside"))


def claims_of(person):
    return verify_access_token(person.tokens.access_token)


def read(person, *arguments, **values):
    return async_to_sync(read_as)(claims_of(person), *arguments, **values)


def furnish(person, *names):
    from tests.tenancy.house.models import Room

    for name in names:
        with creator_scope(person.creator.id), transaction.atomic():
            Room.objects.create(name=name)


@pytest.fixture
def furnished(alice, mallory):
    furnish(alice, "attic", "barn", "cellar")
    furnish(mallory, "attic", "den")


class Wire(SameThreadReader):
    """Reads, and keeps each message."""

    def __init__(self):
        self.messages = []

    async def __call__(self, sql, parameters, sets):
        self.messages.append((sql, parameters))
        return await super().__call__(sql, parameters, sets)


@contextmanager
def wire():
    sent = Wire()
    reads.use_reader(sent)
    yield sent.messages


# ---- A token and its rows


def test_the_person_behind_a_token_and_their_creators_rows_are_one_message(furnished, alice, mallory):
    with wire() as messages:
        reading = read(alice, ROOMS)

    assert len(messages) == 1
    assert reading.standing.actor == alice.actor
    assert (reading.standing.email, reading.standing.creator_name) == (alice.email, "Acme")
    assert reading.rows == [("attic", None), ("barn", None), ("cellar", None)]
    assert read(mallory, ROOMS).rows == [("attic", None), ("den", None)]
    assert current_creator() is None


def test_without_a_read_there_is_only_the_person(alice, bob):
    reading = read(bob)

    assert reading.standing.actor == bob.actor
    assert reading.rows == []


ENDINGS = {
    "sign-in": lambda person: RefreshFamily.objects.filter(user=person.user).update(revoked_at="2026-01-01T00:00Z"),
    "membership": lambda person: Membership.objects.filter(user=person.user).delete(),
    "activity": lambda person: User.objects.filter(id=person.user.id).update(is_active=False),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_a_token_whose_grounds_have_ended_reads_nothing_any_more(furnished, alice, mallory, end):
    assert read(alice, ROOMS).rows
    end(alice)

    with pytest.raises(TokenInvalid):
        read(alice, ROOMS)
    with pytest.raises(TokenInvalid):
        async_to_sync(confirm_actor)(claims_of(alice))
    with pytest.raises(TokenInvalid):
        confirm_in_transaction(claims_of(alice))
    assert read(mallory, ROOMS).rows


def test_a_token_has_the_role_of_this_moment(alice, bob):
    claims = claims_of(bob)
    assert async_to_sync(confirm_actor)(claims).role == Role.VIEWER
    Membership.objects.filter(user=bob.user).update(role=Role.EDITOR)

    assert async_to_sync(confirm_actor)(claims).role == Role.EDITOR
    assert confirm_in_transaction(claims).role == Role.EDITOR


def test_an_actor_is_not_asked_about(alice, django_assert_num_queries):
    actor = alice.actor
    with wire() as messages, django_assert_num_queries(0):
        assert async_to_sync(confirm_actor)(actor) is actor
        assert confirm_in_transaction(actor) is actor

    assert messages == []


# ---- Unless nothing has changed


def test_there_are_no_rows_while_the_revision_is_the_one_that_is_known(furnished, alice, mallory):
    known = read(alice).standing.revision
    assert known != read(mallory).standing.revision

    assert read(alice, ROOMS, unless=known).rows == []
    assert read(alice, ROOMS, unless=known).standing.revision == known
    for other in (known - 1, known + 1, read(mallory).standing.revision, None):
        assert len(read(alice, ROOMS, unless=other).rows) == 3


def test_a_write_of_the_creators_own_ends_what_is_known_and_anothers_does_not(furnished, alice, mallory):
    known = read(alice).standing.revision
    furnish(mallory, "shed")
    assert read(alice, ROOMS, unless=known).rows == []

    furnish(alice, "shed")
    assert len(read(alice, ROOMS, unless=known).rows) == 4


def test_the_other_conditions_of_a_read_go_on_beside_it(furnished, alice):
    assert read(alice, ROOMS, unless=0, name="barn", limit=5).rows == [("barn", None)]


# ---- What is compiled


def counted():
    """A read, and what was given to it each time that it was built."""
    built = []

    def build(**values):
        built.append(values)
        return rooms(**values)

    return Read(build, ("name",)), built


def test_values_that_are_given_are_places_and_the_others_are_none(furnished, alice):
    counting, built = counted()

    assert read(alice, counting, name=None, after="attic", limit=None).rows == [("barn",), ("cellar",)]
    ((values),) = built
    assert values["name"] is None
    assert isinstance(values["after"], Place)
    assert set(values) == {"name", "after"}  # neither `limit` nor `unless`


def test_a_statement_is_compiled_once_for_its_shape_whoever_asks_and_whatever_for(furnished, alice, mallory):
    counting, built = counted()

    assert read(alice, counting, name="attic").rows == [("attic",)]
    assert read(alice, counting, name="barn").rows == [("barn",)]
    assert read(mallory, counting, name="den").rows == [("den",)]
    assert read(mallory, counting, name="barn").rows == []
    assert len(built) == 1


SHAPES = [
    {},
    {"name": "barn"},
    {"after": "attic"},
    {"name": "barn", "after": "attic"},
    {"limit": 1},
    {"limit": 2},
    {"name": "barn", "limit": 2},
    {"unless": 0},
]


def test_each_shape_has_its_own_statement():
    counting, built = counted()

    statements = [counting.statement(values) for values in SHAPES * 2]

    assert len({statement.sql for statement in statements}) == len(SHAPES)
    assert statements[: len(SHAPES)] == statements[len(SHAPES) :]
    assert len(built) == len(SHAPES)


@pytest.mark.parametrize(("limit", "found"), [(1, 2), (2, 3), (3, 3), (None, 3)])
def test_one_more_than_the_limit_is_read(furnished, alice, limit, found):
    assert len(read(alice, ROOMS, limit=limit).rows) == found


def test_a_statement_is_nobodys_and_its_parameters_are_the_creators_in_scope(alice, mallory):
    statement = ROOMS.statement({"name": "x"})
    assert str(alice.creator.id) not in statement.sql

    for person in (alice, mallory):
        with creator_scope(person.creator.id):
            assert statement.parameters({"name": "x"}) == [person.creator.id, "x"]
    with pytest.raises(NoCreatorInScope):
        statement.parameters({"name": "x"})


# ---- Who reads


def test_outside_a_scope_nothing_is_sent():
    with wire() as messages, pytest.raises(NoCreatorInScope):
        async_to_sync(ask)("SELECT 1", [])

    assert messages == []


def test_the_last_results_are_those_that_were_asked_for(alice):
    with creator_scope(alice.creator.id):
        assert async_to_sync(ask)("SELECT 1; SELECT 2; SELECT 3", [], sets=2) == [[(2,)], [(3,)]]


def test_who_reads_by_default_is_one_pool_reader():
    reads.use_reader(None)

    assert isinstance(reads.reader(), reads.PoolReader)
    assert reads.reader() is reads.reader()
