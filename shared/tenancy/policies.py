"""The policy every tenant table has, and the reading of the catalogue that proves it is still there."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SETTING = "app.current_creator_id"
POLICY_NAME = "one_creator"
# No sub-select (Citus refuses them). Unset and empty both mean nobody; anything else must be a UUID or is an error.
POLICY_SQL = f"creator_id = NULLIF(current_setting('{SETTING}', true), '')::uuid"
# How Postgres prints it back.
POLICY_AS_STORED = f"(creator_id = (NULLIF(current_setting('{SETTING}'::text, true), ''::text))::uuid)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a table or a role, and what to do."""

    subject: str
    problem: str
    hint: str


def grant_future_tables(connection: Any, role: str) -> None:
    """Let `role` use what the owner will create in this database: rows, never the tables themselves."""
    name = connection.ops.quote_name(role)
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
        cursor.execute(f"ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {name}")
        cursor.execute(f"ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO {name}")


_ROLE = """
SELECT current_user, session_user, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
       ARRAY(SELECT r.rolname::text FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
              WHERE m.member = me.oid),
       ARRAY(SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relowner = me.oid AND n.nspname NOT LIKE 'pg\\_%%'),
       ARRAY(SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relkind IN ('r', 'p') AND n.nspname = 'public' AND has_table_privilege(c.oid, 'TRUNCATE')),
       EXISTS (SELECT 1 FROM pg_db_role_setting s, unnest(s.setconfig) line WHERE line LIKE %s)
  FROM pg_roles me WHERE rolname = current_user
"""


def role_findings(cursor: Any) -> list[Finding]:
    """What makes the current role unfit to serve: anything that could look past, or undo, row security."""
    cursor.execute(_ROLE, [f"{SETTING}=%"])
    (
        name,
        session,
        superuser,
        bypass,
        create_role,
        create_db,
        replication,
        member_of,
        owns,
        truncates,
        preset,
    ) = cursor.fetchone()
    hint = "Serve as hub_app: LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE, owner and member of nothing."
    said = [
        (superuser, "is a superuser"),
        (bypass, "has BYPASSRLS"),
        (create_role, "has CREATEROLE"),
        (create_db, "has CREATEDB"),
        (replication, "has REPLICATION"),
        (session != name, f"was reached by SET ROLE from {session}"),
        (member_of, f"is a member of {', '.join(member_of)}"),
        (owns, f"owns {', '.join(owns[:3])}"),
        (truncates, f"may TRUNCATE {', '.join(truncates[:3])}"),
        (preset, f"or the database presets {SETTING}"),
    ]
    return [Finding(name, f"The role {name} {what}.", hint) for wrong, what in said if wrong]


_TABLES = """
SELECT c.oid, c.relname::text, c.relkind::text, c.relrowsecurity, c.relforcerowsecurity,
       EXISTS (SELECT 1 FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attname = 'creator_id' AND NOT a.attisdropped),
       EXISTS (SELECT 1 FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attname = 'creator_id' AND a.attnotnull)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname NOT LIKE 'pg\\_%'
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
 ORDER BY c.relname
"""
_POLICIES = """
SELECT p.polname::text, p.polcmd::text, p.polpermissive, p.polroles = '{0}'::oid[],
       pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
  FROM pg_policy p WHERE p.polrelid = %s
"""
_UNIQUES = """
SELECT i.indexrelid::regclass::text, i.indisprimary,
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY k(attnum, place)
               LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY place)
  FROM pg_index i WHERE i.indrelid = %s AND (i.indisunique OR i.indisexclusion)
"""
_KEYS = """
SELECT k.conname::text, k.conrelid::regclass::text, k.confrelid::regclass::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY c(attnum, place)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.attnum ORDER BY place),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY c(attnum, place)
               JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = c.attnum ORDER BY place)
  FROM pg_constraint k WHERE k.contype = 'f'
"""
_DEFINERS = """
SELECT p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""


def table_findings(cursor: Any, *, tenant_tables: Iterable[str], global_tables: Iterable[str]) -> list[Finding]:
    """Read the catalogue; name every relation that nobody classified or that lacks part of its protection."""
    tenant, known = set(tenant_tables), set(global_tables)
    findings: list[Finding] = []
    cursor.execute(_TABLES)
    for oid, name, kind, enabled, forced, has_creator, creator_required in cursor.fetchall():
        if name in tenant:
            problems = [] if enabled and forced else ["does not ENABLE and FORCE row security"]
            problems += [] if creator_required else ["allows rows without a creator"]
            problems += _policy_problems(cursor, oid) + _unique_problems(cursor, oid)
        elif name not in known:
            problems = ["has a creator_id but no tenant model" if has_creator else "is classified nowhere"]
        else:
            problems = [] if kind in "rp" else [f"is of kind {kind!r}, which row security cannot protect"]
        hint = "Inherit BaseTenantModel, or list the table in settings.GLOBAL_TABLES with the reason."
        findings += [Finding(name, f"The table {name} {problem}.", hint) for problem in problems]
    return findings + _key_findings(cursor, tenant) + _definer_findings(cursor)


def _policy_problems(cursor: Any, oid: int) -> list[str]:
    cursor.execute(_POLICIES, [oid])
    expected = (POLICY_NAME, "*", True, True, POLICY_AS_STORED, POLICY_AS_STORED)
    policies = cursor.fetchall()
    if policies == [expected]:
        return []
    return [f"must have exactly the policy {POLICY_NAME}; it has {[policy[0] for policy in policies] or 'none'}"]


def _unique_problems(cursor: Any, oid: int) -> list[str]:
    cursor.execute(_UNIQUES, [oid])
    problems = []
    for index, primary, columns in cursor.fetchall():
        if columns[0] != "creator_id":
            problems.append(f"has a unique index {index} that does not start with creator_id")
        elif primary and columns != ["creator_id", "id"]:
            problems.append("must have PRIMARY KEY (creator_id, id)")
    return problems


def _key_findings(cursor: Any, tenant: set[str]) -> list[Finding]:
    hint = "Let the migration create the key: the schema editor makes it composite."
    cursor.execute(_KEYS)
    findings = []
    for name, source, target, columns, target_columns in cursor.fetchall():
        if target.strip('"') not in tenant:
            continue
        if columns[0] != "creator_id" or target_columns != ["creator_id", "id"] or len(columns) != 2:
            findings.append(Finding(source, f"The key {name} on {source} can cross creators.", hint))
    return findings


def _definer_findings(cursor: Any) -> list[Finding]:
    hint = "Make it SECURITY INVOKER: a definer's function runs with its owner's eyes."
    cursor.execute(_DEFINERS)
    return [Finding(name, f"The function {name} is SECURITY DEFINER.", hint) for (name,) in cursor.fetchall()]
