"""The admin: staff see a creator's rows only while acting as that creator, and leave no words of it elsewhere."""

import re
from http.cookies import SimpleCookie

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.urls import reverse

from apps.accounts.models import AuditEntry, Membership
from shared.tenancy.scope import creator_scope
from tests.fixtures.service_integration_fixtures import HubClient
from tests.isolation.answers import Answer
from tests.isolation.evidence import files_of, rows_of, tenant_tables
from tests.isolation.operations import nowhere
from tests.isolation.pages import every_route

TENANT = ("accounts/auditentry", "knowledge/")
REASON = "Ticket 4711: the handbook"
ROUTES = [route for route in every_route() if route.startswith("admin/") and "P<url>" not in route]


@pytest.fixture
def desk(staff):
    """A browser in which staff are signed in, acting as nobody."""
    return staff.browse(HubClient())


@pytest.fixture
def records(acme_world, alice):
    """Acme's world with the ids that the admin's addresses name."""
    membership = Membership.objects.get(user=alice.user)
    acme_world.things |= {"membership": str(membership.id), "group": str(Group.objects.create(name="staff").pk)}
    return acme_world


def act_as(desk, creator_id, reason=REASON):
    answer = desk.post(reverse("admin:act_as", args=[creator_id]), {"reason": reason})
    assert answer.status_code == 302
    return desk


def addresses(things):
    """Every address of the admin, with the ids of things."""
    for route in ROUTES:
        if "app_label" in route:
            yield from (f"/admin/{label}/" for label in ("auth", "accounts", "knowledge"))
            continue
        model = route.split("/")[2] if route.count("/") > 2 else ""
        for place in re.findall(r"<(?:\w+:)?(\w+)>", route):
            thing = "creator" if place == "creator_id" else model
            route = re.sub(r"<(?:\w+:)?" + place + ">", lambda _, thing=thing: things[thing], route, count=1)
        yield f"/{route}"
        if route.endswith(("document/", "chunk/", "version/", "auditentry/", "user/", "creator/", "membership/")):
            yield f"/{route}?q=handbook"
            yield f"/{route}?o=1&all="
    for model, field in (("chunk", "document"), ("version", "document"), ("membership", "creator")):
        app = "accounts" if model == "membership" else "knowledge"
        yield f"/admin/autocomplete/?app_label={app}&model_name={model}&field_name={field}&term=handbook"
    yield "/admin/search/?s=handbook"
    yield "/admin/search/?s=handbook&extended=1"


def everything_asked(desk, things, methods=("GET", "POST")):
    """Each address by GET, and by POST with what deletes, as `(method, address, answer)`; nothing lasts."""
    cookies = {name: morsel.value for name, morsel in desk.cookies.items()}
    for address in addresses(things):
        selected = things[address.split("/")[3]] if address.count("/") > 3 and address.split("/")[3] in things else "1"
        actions = {"post": "yes", "action": "delete_selected", "_selected_action": selected}
        for method in methods:
            with transaction.atomic():
                response = desk.get(address) if method == "GET" else desk.post(address, actions)
                yield method, address, Answer.of(response)
                transaction.set_rollback(True)
            desk.cookies = SimpleCookie(cookies)


def words_of_the_product(world):
    """Acme's words, its members' addresses apart: those are global, and staff see them."""
    return [word for word in world.words if "@" not in word]


def betrayed(world, text):
    return [word for word in words_of_the_product(world) if word.lower() in text.lower()]


def test_every_tenant_model_in_the_admin_is_tried():
    shown = {route.split("/")[1] + "_" + route.split("/")[2] for route in ROUTES if route.count("/") == 3}

    assert {f"{a}_{b}" for a, b in (("accounts", "auditentry"), ("knowledge", "document"))} <= shown
    assert {table for table in tenant_tables() if table in shown} >= {"knowledge_chunk", "knowledge_version"}


def test_staff_who_act_as_nobody_see_no_row_of_any_creator(desk, records):
    before = rows_of(records.creator_id), files_of(records.creator_id)
    tried = 0

    for method, address, answer in everything_asked(desk, records.things):
        tried += 1
        assert betrayed(records, answer.everything) == [], (method, address)
        assert answer.status < 500, (method, address)
        if address.startswith(tuple(f"/admin/{part}" for part in TENANT)):
            assert answer.status in (302, 403, 404), (method, address)
        assert log_of_the_admin_knows(records) == [], (method, address)

    assert tried > 100
    assert (rows_of(records.creator_id), files_of(records.creator_id)) == before


def test_acting_as_one_creator_shows_nothing_of_another(desk, records, umbrella_world):
    act_as(desk, umbrella_world.creator_id)
    before = rows_of(records.creator_id), files_of(records.creator_id)

    for method, address, answer in everything_asked(desk, records.things):
        assert betrayed(records, answer.everything) == [], (method, address)
        assert answer.status < 500, (method, address)
        assert log_of_the_admin_knows(records) == [], (method, address)

    assert (rows_of(records.creator_id), files_of(records.creator_id)) == before


def test_another_creators_row_and_a_missing_one_look_alike_while_acting(desk, records, umbrella_world):
    act_as(desk, umbrella_world.creator_id)
    nothing = nowhere()
    named = [route for route in ROUTES if route.startswith(("admin/knowledge", "admin/accounts/auditentry"))]

    for route in [route for route in named if "object_id" in route]:
        model = route.split("/")[2]
        answers = []
        for things in (records.things, nothing):
            address = "/" + route.replace("<path:object_id>", things[model])
            answer = Answer.of(desk.get(address, follow=False))
            answers.append(str(answer).replace(things[model], "<id>"))
            desk.get("/admin/")  # shows the message that the answer left behind, so that the next begins without
        assert answers[0] == answers[1], route


def test_acting_as_acme_shows_acmes_rows(desk, records):
    act_as(desk, records.creator_id)

    assert betrayed(records, desk.get("/admin/knowledge/document/").text)
    assert betrayed(records, desk.get("/admin/knowledge/chunk/").text)
    assert REASON in desk.get("/admin/accounts/auditentry/").text


def test_whatever_staff_do_as_acme_the_admins_own_log_holds_none_of_its_words(desk, records):
    act_as(desk, records.creator_id)

    for method, address, answer in everything_asked(desk, records.things, ("POST",)):
        assert log_of_the_admin_knows(records) == [], (method, address)
        assert answer.status < 500, (method, address)


def log_of_the_admin_knows(world):
    """Acme's words in the admin's log, which belongs to nobody."""
    text = DjangoJSONEncoder().encode(list(LogEntry.objects.values("object_repr", "change_message", "object_id")))
    return betrayed(world, text)


def test_the_reason_is_in_the_creators_own_log_and_in_nobody_elses(desk, staff, records, umbrella_world):
    act_as(desk, records.creator_id)

    with creator_scope(records.creator_id):
        entries = list(AuditEntry.objects.filter(reason=REASON))
    with creator_scope(umbrella_world.creator_id):
        assert AuditEntry.objects.count() == 0
    assert [entry.user_id for entry in entries] == [staff.user.id]


def test_no_global_table_holds_a_word_of_acmes(desk, records):
    """Read past the ORM: every table that is nobody's, after a day's work of staff as Acme."""
    act_as(desk, records.creator_id)
    for address in ("/admin/knowledge/document/", "/admin/knowledge/chunk/", "/admin/accounts/auditentry/"):
        desk.get(address)
    found = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = {name for (name,) in cursor.fetchall()} - set(tenant_tables())
        for table in sorted(tables - {"django_session"}):  # a session holds the reason, signed, and no row's words
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t")
            if words := betrayed(records, cursor.fetchone()[0]):
                found[table] = words

    assert found == {}
    assert "procrastinate_jobs" in tables


def test_a_creators_owner_is_not_let_in(alice, records):
    browser = alice.browse(HubClient())

    for address in ("/admin/", "/admin/knowledge/document/", f"/admin/act-as/{records.creator_id}/"):
        assert browser.get(address).status_code in (302, 403)
