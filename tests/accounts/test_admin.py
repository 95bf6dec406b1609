"""The admin: people and creators for staff; tenant rows only while acting as a creator, with a reason."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from apps.accounts.models import AuditEntry, Creator, Membership, User
from apps.knowledge.models import Document, Version
from shared.tenancy import acting
from shared.tenancy.admin import HubAdminSite, TenantAdmin
from shared.tenancy.keys import is_tenant_model
from shared.tenancy.scope import creator_scope
from tests.fixtures.auth_fixtures import PASSWORD, Staff, password_hash

REASON = "Ticket 4711: the handbook stays queued"


@pytest.fixture
def desk(client, staff):
    """A browser in which staff are signed in."""
    return staff.browse(client)


@pytest.fixture
def handbook(acme):
    """A document of Acme's."""
    with creator_scope(acme.id):
        return Document.objects.create(title="Acme handbook", filename="handbook.pdf", bytes=1)


@pytest.fixture
def recipes(umbrella):
    """A document of Umbrella's."""
    with creator_scope(umbrella.id):
        return Document.objects.create(title="Umbrella recipes", filename="recipes.pdf", bytes=1)


def act_as(desk, creator, reason=REASON):
    return desk.post(reverse("admin:act_as", args=[creator.id]), {"reason": reason})


def audit_log(creator):
    with creator_scope(creator.id):
        return list(AuditEntry.objects.order_by("id"))


def documents(desk):
    return desk.get("/admin/knowledge/document/")


# ---- Global tables


@pytest.mark.parametrize("page", ["user", "creator", "membership"])
def test_staff_see_people_and_creators(desk, alice, page):
    response = desk.get(f"/admin/accounts/{page}/")

    assert response.status_code == 200
    assert ("alice@" in response.text) or ("Acme" in response.text)


def test_staff_make_a_user(desk):
    form = {"email": "Carol@Example.com", "display_name": "Carol", "password1": PASSWORD, "password2": PASSWORD}
    inline = {f"memberships-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}

    response = desk.post("/admin/accounts/user/add/", {**form, **inline, "usable_password": "true"})

    assert response.status_code == 302
    assert User.objects.get(email="carol@example.com").check_password(PASSWORD)


def test_staff_open_a_user_and_a_creator(desk, alice):
    assert desk.get(f"/admin/accounts/user/{alice.user.id}/change/").status_code == 200
    assert desk.get(f"/admin/accounts/creator/{alice.creator.id}/change/").status_code == 200
    assert desk.get(f"/admin/accounts/user/{alice.user.id}/password/").status_code == 200


def test_nobody_deletes_a_user_or_a_creator_by_hand(desk, alice):
    assert desk.post(f"/admin/accounts/user/{alice.user.id}/delete/", {"post": "yes"}).status_code == 403
    assert desk.post(f"/admin/accounts/creator/{alice.creator.id}/delete/", {"post": "yes"}).status_code == 403


def test_a_new_role_counts_at_once(desk, client, bob):
    membership = Membership.objects.get(user=bob.user)
    form = {"user": bob.user.id, "creator": bob.creator.id, "role": "editor"}

    assert desk.post(f"/admin/accounts/membership/{membership.id}/change/", form).status_code == 302

    assert client.get("/api/v1/auth/me", headers=bob.headers).json()["role"] == "editor"


def test_the_queue_is_not_shown(desk):
    assert "procrastinate" not in desk.get("/admin/").text.lower()
    assert desk.get("/admin/procrastinate/procrastinatejob/").status_code == 404


# ---- Tenant tables


def test_every_tenant_model_in_the_admin_has_a_tenant_admin():
    shown = [(model, site) for model, site in admin.site._registry.items() if is_tenant_model(model)]

    assert shown
    assert all(isinstance(site, TenantAdmin) for _, site in shown)


def test_a_tenant_model_with_an_ordinary_admin_is_refused():
    with pytest.raises(ImproperlyConfigured, match="Document"):
        HubAdminSite().register(Document, ModelAdmin)


@pytest.mark.parametrize("page", ["", "add/", "{id}/change/", "{id}/history/", "{id}/delete/"])
def test_without_acting_nothing_of_a_tenant_table_can_be_reached(desk, handbook, page):
    response = desk.get(f"/admin/knowledge/document/{page.format(id=handbook.id)}")

    assert response.status_code == 403
    assert "Acme handbook" not in response.text


def test_without_acting_tenant_tables_are_not_listed(desk, handbook):
    assert "/admin/knowledge/document/" not in desk.get("/admin/").text
    assert desk.get("/admin/knowledge/").status_code == 404


def test_acting_asks_for_a_reason_first(desk, acme, handbook):
    page = desk.get(reverse("admin:act_as", args=[acme.id]))

    assert page.status_code == 200
    assert "Acme" in page.text
    assert documents(desk).status_code == 403
    assert audit_log(acme) == []


@pytest.mark.parametrize("reason", ["", "    ", "why", "x" * 301])
def test_acting_without_a_reason_is_refused(desk, acme, reason):
    assert act_as(desk, acme, reason).status_code == 200

    assert documents(desk).status_code == 403
    assert audit_log(acme) == []


def test_the_creators_own_page_leads_to_acting(desk, acme):
    response = desk.get(f"/admin/accounts/creator/{acme.id}/act-as/")

    assert response.headers["Location"] == reverse("admin:act_as", args=[acme.id])


def test_staff_see_the_rows_of_the_creator_they_act_as_and_no_others(desk, acme, handbook, recipes):
    assert act_as(desk, acme).status_code == 302

    page = documents(desk)

    assert page.status_code == 200
    assert "Acme handbook" in page.text
    assert "Umbrella recipes" not in page.text
    assert desk.get(f"/admin/knowledge/document/{handbook.id}/change/").status_code == 200


def test_another_creators_row_and_a_missing_one_look_alike(desk, acme, recipes):
    act_as(desk, acme)
    missing = "0190a000-0000-7000-8000-000000000000"

    other = desk.get(f"/admin/knowledge/document/{recipes.id}/change/", follow=True)
    none = desk.get(f"/admin/knowledge/document/{missing}/change/", follow=True)

    assert other.redirect_chain == none.redirect_chain
    assert "Umbrella recipes" not in other.text


def test_a_banner_says_as_whom_and_why(desk, acme):
    act_as(desk, acme)

    for page in ("/admin/", "/admin/accounts/user/", "/admin/knowledge/document/"):
        text = desk.get(page).text
        assert "Acting as" in text
        assert "Acme" in text
        assert REASON in text


def test_beginning_and_ending_stand_in_the_creators_own_log(desk, staff, acme, umbrella):
    act_as(desk, acme)
    desk.post(reverse("admin:stop_acting"))

    assert [(entry.action, entry.reason, entry.user_id) for entry in audit_log(acme)] == [
        ("acting started", REASON, staff.user.id),
        ("acting stopped", REASON, staff.user.id),
    ]
    assert audit_log(umbrella) == []
    assert documents(desk).status_code == 403


def test_ending_is_never_a_link(desk, acme):
    act_as(desk, acme)

    assert desk.get(reverse("admin:stop_acting")).status_code == 405
    assert documents(desk).status_code == 200


def test_acting_as_another_creator_ends_the_first(desk, acme, umbrella, handbook, recipes):
    act_as(desk, acme)
    act_as(desk, umbrella)

    page = documents(desk)

    assert "Umbrella recipes" in page.text
    assert "Acme handbook" not in page.text
    assert [entry.action for entry in audit_log(acme)] == ["acting started", "acting stopped"]


def test_after_an_hour_acting_is_over(desk, acme, handbook, monkeypatch):
    act_as(desk, acme)
    later = timezone.now() + acting.LASTS_FOR + timedelta(seconds=1)
    monkeypatch.setattr(acting.timezone, "now", lambda: later)

    assert documents(desk).status_code == 403


def test_whoever_loses_the_permission_stops_at_once(client, acme, handbook):
    helper = User.objects.create(
        email="helper@hub.example.com", display_name="Helper", password=password_hash(), is_staff=True
    )
    names = ["act_as_creator", "view_document"]
    helper.user_permissions.set(Permission.objects.filter(codename__in=names))
    desk = Staff(helper).browse(client)
    act_as(desk, acme)
    assert documents(desk).status_code == 200

    helper.user_permissions.remove(Permission.objects.get(codename="act_as_creator"))

    assert documents(desk).status_code == 403


def test_staff_without_the_permission_cannot_act(client, acme, handbook):
    helper = User.objects.create(
        email="helper@hub.example.com", display_name="Helper", password=password_hash(), is_staff=True
    )
    helper.user_permissions.set(Permission.objects.filter(codename="view_document"))
    desk = Staff(helper).browse(client)

    assert act_as(desk, acme).status_code == 403
    assert documents(desk).status_code == 403
    assert audit_log(acme) == []


def test_an_owner_cannot_act_as_another_creator(client, alice, umbrella):
    assert act_as(alice.browse(client), umbrella).status_code == 302  # to the sign-in of staff

    assert audit_log(umbrella) == []


def test_nobody_acts_as_a_creator_that_does_not_exist(desk):
    response = desk.post("/admin/act-as/0190a000-0000-7000-8000-000000000000/", {"reason": REASON})

    assert response.status_code == 404


def test_rows_that_services_keep_true_cannot_be_changed_by_hand(desk, acme, handbook):
    act_as(desk, acme)
    url = f"/admin/knowledge/document/{handbook.id}"

    assert desk.post(f"{url}/change/", {"title": "Changed"}).status_code == 403
    assert desk.post(f"{url}/delete/", {"post": "yes"}).status_code == 403
    assert desk.get("/admin/knowledge/document/add/").status_code == 403
    with creator_scope(acme.id):
        assert Document.objects.get(id=handbook.id).title == "Acme handbook"


def test_the_log_can_be_read_while_acting(desk, acme, handbook):
    act_as(desk, acme)

    log = desk.get("/admin/accounts/auditentry/")
    history = desk.get(f"/admin/knowledge/document/{handbook.id}/history/", follow=True)

    assert "acting started" in log.text
    assert history.status_code == 200
    assert REASON in log.text.partition('id="result_list"')[2]
    assert REASON not in history.text.partition('id="changelist"')[2]


def test_rows_that_point_at_others_can_be_opened(desk, acme, handbook):
    with creator_scope(acme.id):
        version = Version.objects.create(document=handbook, number=1)
    act_as(desk, acme)

    assert "Acme handbook" in desk.get("/admin/knowledge/version/").text
    assert "Acme handbook" in desk.get(f"/admin/knowledge/version/{version.id}/change/").text


@pytest.fixture
def editable(monkeypatch):
    """Documents, as if staff could change them by hand."""
    site = admin.site._registry[Document]
    monkeypatch.setattr(site, "read_only", False)
    monkeypatch.setattr(site, "fields", ("title",), raising=False)


def test_what_staff_change_stands_in_the_creators_log_and_not_in_djangos(desk, editable, acme, handbook):
    act_as(desk, acme)
    url = f"/admin/knowledge/document/{handbook.id}"

    assert desk.post(f"{url}/change/", {"title": "Secret plans"}).status_code == 302
    assert desk.post(f"{url}/delete/", {"post": "yes"}).status_code == 302

    changed, deleted = audit_log(acme)[1:]
    assert (changed.action, changed.object_id, changed.reason) == ("changed", str(handbook.id), REASON)
    assert "Title" in changed.detail or "title" in changed.detail
    assert (deleted.action, deleted.object_id) == ("deleted", str(handbook.id))
    assert not LogEntry.objects.exists()


def test_many_at_once_are_logged_one_by_one(desk, editable, acme, handbook):
    act_as(desk, acme)

    form = {"action": "delete_selected", "_selected_action": [str(handbook.id)], "post": "yes"}
    assert desk.post("/admin/knowledge/document/", form).status_code == 302

    assert [entry.action for entry in audit_log(acme)] == ["acting started", "deleted"]
    assert not LogEntry.objects.exists()


def test_adding_is_logged_too(desk, editable, acme, monkeypatch):
    monkeypatch.setattr(
        admin.site._registry[Document], "save_model", lambda request, row, form, change: save_with_content(row)
    )
    act_as(desk, acme)

    assert desk.post("/admin/knowledge/document/add/", {"title": "From staff"}).status_code == 302

    assert [entry.action for entry in audit_log(acme)] == ["acting started", "added"]
    assert not LogEntry.objects.exists()


def save_with_content(document):
    document.bytes = 1
    document.save()


def test_hostile_names_are_only_text(desk, acme):
    hostile = "<script>alert(1)</script>\"'{{7*7}}"
    Creator.objects.filter(id=acme.id).update(display_name=hostile)
    with creator_scope(acme.id):
        Document.objects.create(title=hostile, filename=hostile, bytes=1)
    act_as(desk, acme, f"looking at {hostile}")

    for page in ("/admin/", "/admin/accounts/creator/", "/admin/knowledge/document/", "/admin/accounts/auditentry/"):
        response = desk.get(page)
        assert response.status_code == 200
        assert "<script>alert" not in response.text


def test_acting_needs_more_than_a_session(acme, alice):
    request = RequestFactory().get("/")
    request.user, request.session = alice.user, {}

    with pytest.raises(PermissionDenied):
        acting.start_acting(request, acme, REASON)
