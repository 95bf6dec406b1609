"""Make a Postgres ready for the hub: two roles, one database, pgvector.

`python -m shared.embedded.bootstrap` does it for any server: DATABASE_ADMIN_URL says as whom (a role that may create
roles, databases and extensions), DATABASE_URL and DATABASE_OWNER_URL name the database and the passwords to be.
Repeating it changes nothing but the passwords, which become those that are given.
"""

import sys
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from shared.config.env_constants import get_env_value, is_set

OWNER = "hub_owner"
APP = "hub_app"
DEFAULT_DATABASE = "hub"
# One creator's long statement, or a lock that somebody holds, must not use up what all creators share: the threads that
# wait for it, and the processors.
APP_LIMITS = {
    "lock_timeout": "5s",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    "max_parallel_workers_per_gather": "0",
}
# Databases that belong to the server, not to the hub.
MAINTENANCE_DATABASES = {"", "postgres", "template1"}

type Connection = psycopg.Connection[tuple[object, ...]]


class BootstrapRefused(RuntimeError):
    """The server or the URLs do not allow the hub to be set up."""


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """Where the hub finds its database, once as each of its roles. Both hold passwords."""

    app: str
    owner: str


def bootstrap(admin_url: str, *, owner_password: str, app_password: str, database: str = "") -> DatabaseUrls:
    """Make roles, database and extension as the role of `admin_url`, and answer how to reach them.

    `hub_owner` may create databases, for the tests' sake; `hub_app` may do nothing of its own. Without `database`
    it is the one that `admin_url` names, or `hub` where that is one of the server's own.
    """
    named = database_of(admin_url)
    database = database or (DEFAULT_DATABASE if named in MAINTENANCE_DATABASES else named)
    with connect(with_database(admin_url, named or "postgres")) as connection:
        _make_role(connection, OWNER, owner_password, createdb=True)
        _make_role(connection, APP, app_password, createdb=False)
        _make_database(connection, database)
    with connect(with_database(admin_url, database)) as connection:
        _make_extension(connection)
    # A test database made by hub_owner gets it from the template: pgvector wants a superuser to install it.
    try:
        with connect(with_database(admin_url, "template1")) as connection:
            _make_extension(connection)
    except psycopg.Error as error:  # a managed server may keep its template to itself; only tests need it
        print(f"pgvector could not be put into template1: {error}", file=sys.stderr)
    return DatabaseUrls(
        app=with_database(with_role(admin_url, APP, app_password), database),
        owner=with_database(with_role(admin_url, OWNER, owner_password), database),
    )


def connect(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, connect_timeout=10)


def role_of(url: str) -> str:
    return unquote(urlsplit(url).username or "")


def password_of(url: str) -> str:
    return unquote(urlsplit(url).password or "")


def database_of(url: str) -> str:
    return unquote(urlsplit(url).path.lstrip("/"))


def with_role(url: str, role: str, password: str) -> str:
    """The same place for another role."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role, safe='')}:{quote(password, safe='')}@{host}"))


def with_database(url: str, database: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(database, safe='')}"))


def _make_role(connection: Connection, role: str, password: str, *, createdb: bool) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    rights = "LOGIN INHERIT NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS " + (
        "CREATEDB" if createdb else "NOCREATEDB"
    )
    if known and not _is_superuser(connection):
        rights = "LOGIN"  # only a superuser may even repeat the others
    connection.execute(
        sql.SQL("{verb} ROLE {role} WITH {rights} PASSWORD {password}").format(
            verb=sql.SQL("ALTER" if known else "CREATE"),
            role=sql.Identifier(role),
            rights=sql.SQL(rights),
            password=sql.Literal(_scrambled(connection, role, password)),
        )
    )
    if role == APP:
        # On the role, since a pooler forgets what a client asks for. What waits longer is answered with 503.
        for name, limit in APP_LIMITS.items():
            connection.execute(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(
                    sql.Identifier(role), sql.Identifier(name), sql.Literal(limit)
                )
            )


def _scrambled(connection: Connection, role: str, password: str) -> str:
    """The password as Postgres keeps it, so that its plain text never reaches a server's log."""
    return connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()


def _is_superuser(connection: Connection) -> bool:
    row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    return bool(row and row[0])


def _make_database(connection: Connection, database: str) -> None:
    owner, name = sql.Identifier(OWNER), sql.Identifier(database)
    if not _is_superuser(connection):
        # Whoever gives a thing to a role has to be a member of it.
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(owner))
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))
    else:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))


def _make_extension(connection: Connection) -> None:
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except psycopg.errors.UndefinedFile as error:
        raise BootstrapRefused("This Postgres has no pgvector: install version 0.8.4 or newer.") from error


def main() -> None:
    missing = [name for name in ("DATABASE_ADMIN_URL", "DATABASE_URL", "DATABASE_OWNER_URL") if not is_set(name)]
    if missing:
        raise SystemExit("The roles cannot be made without " + ", ".join(missing))
    app, owner = get_env_value("DATABASE_URL"), get_env_value("DATABASE_OWNER_URL")
    if (role_of(app), role_of(owner)) != (APP, OWNER):
        raise SystemExit(f"DATABASE_URL has to be {APP}'s and DATABASE_OWNER_URL {OWNER}'s.")
    urls = bootstrap(
        get_env_value("DATABASE_ADMIN_URL"),
        owner_password=password_of(owner),
        app_password=password_of(app),
        database=database_of(app),
    )
    print(f"Ready: {OWNER} and {APP} on database {database_of(urls.app)}.")


if __name__ == "__main__":
    main()
