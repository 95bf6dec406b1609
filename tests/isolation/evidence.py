"""What a creator owns, written down byte for byte: every row of every tenant table, every file."""

import os

from django.apps import apps
from django.core.files.storage import default_storage
from django.db import connection

from shared.tenancy.keys import is_tenant_model
from shared.tenancy.scope import creator_scope


def tenant_tables():
    """The names of all tenant tables."""
    return sorted(model._meta.db_table for model in apps.get_models() if is_tenant_model(model))


def rows_of(creator_id):
    """Each tenant table's rows of a creator as JSON text, read past the ORM and bound to that creator."""
    found = {}
    with creator_scope(creator_id), connection.cursor() as cursor:
        for table in tenant_tables():
            cursor.execute(f"SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.id), '[]')::text FROM {table} t")
            (found[table],) = cursor.fetchone()
    return found


_ACCOUNTS = {
    "accounts_creator": "id = %s",
    "accounts_membership": "creator_id = %s",
    "accounts_refreshfamily": "creator_id = %s",
    "accounts_user": "id IN (SELECT user_id FROM accounts_membership WHERE creator_id = %s)",
}


def accounts_of(creator_id):
    """The rows of a creator's members in the global tables that sign-in reads."""
    found = {}
    with connection.cursor() as cursor:
        for table, condition in _ACCOUNTS.items():
            cursor.execute(
                f"SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.id), '[]')::text FROM {table} t WHERE {condition}",
                [creator_id],
            )
            (found[table],) = cursor.fetchone()
    return found


def files_of(creator_id):
    """Every stored file of a creator: path to bytes."""
    base = default_storage.path("creators/" + creator_id.hex)
    found = {}
    for folder, _, names in os.walk(base):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, base)] = file.read()
    return found


def belongings_of(creator_id):
    """All of it. Two of these are equal when nothing was touched in between."""
    return {"rows": rows_of(creator_id), "accounts": accounts_of(creator_id), "files": files_of(creator_id)}
