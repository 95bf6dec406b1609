"""The lint of the role: `hub_app` is fit, the owner is not, and each thing that would let a role look past is found."""

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import ProgrammingError, connection

from shared.tenancy.checks import UnfitDatabase, refuse_unfit_database
from shared.tenancy.policies import SETTING, role_findings
from tests.tenancy.tools import as_owner, owner

pytestmark = pytest.mark.django_db
FIT = ("hub_app", "hub_app", False, False, False, False, False, [], [], [], False)


class Answering:
    """A cursor that answers as the catalogue would, for roles that a test may not create."""

    def __init__(self, row: tuple) -> None:
        self.row = row

    def execute(self, *_: object) -> None:
        """Asked."""

    def fetchone(self) -> tuple:
        return self.row


def said_of(row: tuple) -> list[str]:
    return [finding.problem for finding in role_findings(Answering(row))]


def test_the_tests_run_as_the_role_that_production_uses():
    with connection.cursor() as cursor:
        assert role_findings(cursor) == []
        cursor.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False, False)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (2, True, "is a superuser"),
        (3, True, "has BYPASSRLS"),
        (4, True, "has CREATEROLE"),
        (5, True, "has CREATEDB"),
        (6, True, "has REPLICATION"),
        (1, "postgres", "was reached by SET ROLE from postgres"),
        (7, ["hub_owner"], "is a member of hub_owner"),
        (8, ["notes"], "owns notes"),
        (9, ["notes"], "may TRUNCATE notes"),
        (10, True, f"presets {SETTING}"),
    ],
)
def test_each_power_is_found(place, value, said):
    assert said_of(FIT) == []
    (finding,) = said_of((*FIT[:place], value, *FIT[place + 1 :]))
    assert said in finding


def test_the_owner_is_refused_and_told_what_to_do():
    with owner() as wrapper, wrapper.cursor() as cursor:
        found = role_findings(cursor)
    said = " ".join(finding.problem for finding in found)
    assert "has CREATEDB" in said
    assert "owns" in said
    assert "may TRUNCATE" in said
    assert all("Serve as hub_app" in finding.hint for finding in found)


def test_a_right_to_truncate_fails_check_and_start():
    role = connection.ops.quote_name(connection.settings_dict["USER"])
    as_owner(f"GRANT TRUNCATE ON accounts_creator TO {role}")
    try:
        with pytest.raises(SystemCheckError, match=r"tenancy\.E010.*may TRUNCATE accounts_creator"):
            call_command("check", databases=["default"])
        with pytest.raises(UnfitDatabase, match="may TRUNCATE accounts_creator"):
            refuse_unfit_database()
    finally:
        as_owner(f"REVOKE TRUNCATE ON accounts_creator FROM {role}")
    refuse_unfit_database()


@pytest.mark.parametrize("whose", ["DATABASE {database}", "ROLE {role}"])
def test_not_even_the_owner_can_preset_a_creator(whose):
    names = {
        "database": connection.ops.quote_name(connection.settings_dict["NAME"]),
        "role": connection.ops.quote_name(connection.settings_dict["USER"]),
    }
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_owner(f"ALTER {whose.format(**names)} SET {SETTING} = ''")
