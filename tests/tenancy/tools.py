"""What the tests of the kernel are made with: the owner's connection, the wire, plain psycopg, small pools."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from uuid import UUID

import psycopg
from django.apps import AppConfig, apps
from django.db import connection, connections, models
from psycopg.pq import Trace

from shared.tenancy.actor import Actor, Role
from shared.tenancy.ids import uuid7
from shared.tenancy.policies import SETTING


def actor_of(creator_id: UUID, role: Role = Role.OWNER) -> Actor:
    """Somebody who acts for a creator."""
    return Actor(user_id=uuid7(), creator_id=creator_id, role=role)


@contextmanager
def owner() -> Iterator[Any]:
    """A connection of its own, as the role that owns the tables, to the database of the tests."""
    wrapper = connection.copy()
    options = {key: value for key, value in wrapper.settings_dict["OPTIONS"].items() if key != "pool"}
    # A forgotten transaction would keep DDL waiting for ever.
    options["options"] = "-c lock_timeout=10s"
    wrapper.settings_dict.update(wrapper.settings_dict["OWNER"], OPTIONS=options)
    try:
        yield wrapper
    finally:
        wrapper.close()


def as_owner(*statements: str) -> None:
    """Run statements as the owner and commit them."""
    with owner() as wrapper, wrapper.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def connect(**overrides: Any) -> psycopg.Connection:
    """Plain psycopg, as `hub_app`: nothing of the kernel between the test and Postgres."""
    told = connection.settings_dict
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return psycopg.connect(**{key: told[name] for key, name in names.items() if told[name]} | overrides)


def bind(session: psycopg.Connection, value: object) -> None:
    """Set the creator of the open transaction, whatever `value` is."""
    session.execute("SELECT set_config(%s, %s, true)", [SETTING, str(value)])


@contextmanager
def installed(name: str, label: str, module: ModuleType) -> Iterator[None]:
    """Put an app into the registry without `ready()` of all the others, which are not made to run twice."""
    config = AppConfig(name, module)
    config.label = label
    config.apps, config.models = apps, apps.all_models[label]
    apps.app_configs[label] = config
    apps.clear_cache()
    try:
        yield
    finally:
        del apps.app_configs[label]
        apps.clear_cache()


@contextmanager
def tables_of(*created: type[models.Model]) -> Iterator[None]:
    """Make tables with the kernel's schema editor, as a migration would, and drop them."""
    with owner() as wrapper:
        with wrapper.schema_editor() as editor:
            for model in created:
                editor.create_model(model)
        try:
            yield
        finally:
            with wrapper.schema_editor() as editor:
                for model in reversed(created):
                    editor.delete_model(model)


@dataclass
class Wire:
    """What this client sent to Postgres, message by message."""

    messages: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.messages)


@contextmanager
def wire(session: Any = None) -> Iterator[Wire]:
    """Record the queries that go over a connection, as libpq sends them: one is one round trip. Default: the test's."""
    if session is None:
        connection.ensure_connection()
        session = connection.connection
    sent = Wire()
    with tempfile.TemporaryFile() as trace:
        copy = os.dup(trace.fileno())
        session.pgconn.trace(copy)
        session.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        try:
            yield sent
        finally:
            session.pgconn.untrace()
            os.close(copy)
            trace.seek(0)
            for line in trace.read().decode().splitlines():
                direction, _, rest = line.partition("\t")
                kind, _, text = rest.partition("\t")[2].partition("\t")
                if direction == "F" and kind in ("Query", "Parse"):
                    sent.messages.append(text.strip().removeprefix('"').removesuffix('"'))


def setting_in_postgres() -> str:
    """The creator that a statement of Django's connection really runs under; "" for nobody."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT current_setting('{SETTING}', true)")
        return cursor.fetchone()[0] or ""


def left_behind() -> str:
    """What the session says by itself, past the kernel; it must always be ""."""
    connection.ensure_connection()
    assert connection.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    return connection.connection.execute(f"SELECT current_setting('{SETTING}', true)").fetchone()[0] or ""


@contextmanager
def pool_of(size: int, **settings: Any) -> Iterator[None]:
    """Give the tests' threads a pool of `size` connections (to another address, if one is given)."""
    shared = connections.settings["default"]
    before = {key: shared[key] for key in ("OPTIONS", *settings)}
    pool = {"min_size": 0, "max_size": size, "timeout": 30}
    connection.close()
    connection.close_pool()
    shared.update(settings, OPTIONS={**shared["OPTIONS"], "pool": pool})
    try:
        yield
    finally:
        connections.close_all()
        connection.close_pool()
        shared.update(before)
