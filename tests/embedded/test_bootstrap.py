"""Two roles, one database, pgvector: made once, and the same when made again."""

import psycopg
import pytest

from shared.config.env_constants import choose
from shared.embedded import bootstrap
from shared.embedded.bootstrap import connect, database_of, password_of, role_of, with_database, with_role


@pytest.fixture
def admin_url(servers):
    """An administrator who is no superuser, as managed servers have them."""
    with connect(servers.postgres.url()) as connection:
        connection.execute("DROP DATABASE IF EXISTS managed")
        connection.execute("DROP ROLE IF EXISTS keeper")
        connection.execute("CREATE ROLE keeper LOGIN CREATEROLE CREATEDB PASSWORD 'k'")
        for role in ("hub_owner", "hub_app"):
            connection.execute(f"GRANT {role} TO keeper WITH ADMIN OPTION")
    return with_role(servers.postgres.url(), "keeper", "k")


def test_hub_app_may_do_nothing_of_its_own(servers):
    with connect(servers.urls.app) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolreplication,"
            " EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)"
            " FROM pg_roles r WHERE rolname = current_user"
        ).fetchone()

        assert row == (False,) * 6
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (id int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE DATABASE mine")


def test_a_database_that_the_owner_makes_has_pgvector(servers):
    with connect(servers.urls.owner) as connection:
        connection.execute("CREATE DATABASE test_hub")
    with connect(with_database(servers.urls.owner, "test_hub")) as connection:
        assert connection.execute("SELECT '[1,2]'::vector::text").fetchone() == ("[1,2]",)
    with connect(servers.urls.owner) as connection:
        connection.execute("DROP DATABASE test_hub")


def test_repeating_it_changes_the_passwords_alone(servers):
    before = servers.urls

    after = bootstrap.bootstrap(servers.postgres.url(), owner_password="new owner", app_password="p@ss/w:rd#?%")

    with connect(after.app) as connection:
        assert connection.execute("SELECT current_user::text").fetchone() == ("hub_app",)
    with pytest.raises(psycopg.OperationalError, match="password"):
        connect(before.app)
    again = bootstrap.bootstrap(
        servers.postgres.url(), owner_password=password_of(before.owner), app_password=password_of(before.app)
    )
    assert again == before


def test_an_administrator_who_is_no_superuser_can_do_it(servers, admin_url, capsys):
    with connect(servers.postgres.url()) as connection:
        # A managed server lets its administrator install pgvector; ours has to be told so in advance.
        connection.execute("CREATE DATABASE managed OWNER hub_owner")

    urls = bootstrap.bootstrap(
        with_database(admin_url, "managed"),
        owner_password=password_of(servers.urls.owner),
        app_password=password_of(servers.urls.app),
    )

    assert urls == bootstrap.DatabaseUrls(
        app=with_database(servers.urls.app, "managed"), owner=with_database(servers.urls.owner, "managed")
    )


def test_the_command_makes_what_the_urls_name(servers, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_ADMIN_URL", servers.postgres.url())
    monkeypatch.setenv("DATABASE_URL", with_database(servers.urls.app, "other"))
    monkeypatch.setenv("DATABASE_OWNER_URL", with_database(servers.urls.owner, "other"))

    bootstrap.main()

    assert capsys.readouterr().out == "Ready: hub_owner and hub_app on database other.\n"
    with connect(with_database(servers.urls.app, "other")) as connection:
        assert connection.execute("SELECT '[1]'::vector::text").fetchone() == ("[1]",)


def test_the_command_says_what_it_lacks(monkeypatch):
    for name in ("DATABASE_ADMIN_URL", "DATABASE_OWNER_URL"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(SystemExit, match="DATABASE_ADMIN_URL, DATABASE_OWNER_URL"):
        bootstrap.main()


def test_the_command_refuses_urls_of_other_roles(monkeypatch):
    for name in ("DATABASE_ADMIN_URL", "DATABASE_URL", "DATABASE_OWNER_URL"):
        monkeypatch.setenv(name, "postgresql://postgres:secret@127.0.0.1/hub")

    with pytest.raises(SystemExit, match=r"hub_app's .* hub_owner's") as refusal:
        bootstrap.main()
    assert "secret" not in str(refusal.value)


def test_a_postgres_without_pgvector_is_named():
    class Without:
        def execute(self, statement):
            raise psycopg.errors.UndefinedFile

    with pytest.raises(bootstrap.BootstrapRefused, match=r"pgvector.*0\.8\.4"):
        bootstrap._make_extension(Without())


def test_awkward_names_and_passwords_survive_a_url():
    url = with_database(with_role("postgresql://a:b@db.example:6432/x?sslmode=require", "r@le", "p/w?#:%"), "d b/c")

    assert (role_of(url), password_of(url), database_of(url)) == ("r@le", "p/w?#:%", "d b/c")
    assert "@db.example:6432/" in url
    assert url.endswith("?sslmode=require")


def test_only_known_variables_can_be_chosen():
    with pytest.raises(LookupError):
        choose(NO_SUCH_VARIABLE="1")
