"""`migrate`, as the role that owns the tables."""

from typing import Any

from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import connections

from shared.tenancy.policies import grant_future_tables


class Command(DjangoMigrate):
    """Django's own, run as the owner whatever role serves."""

    def handle(self, *args: Any, **options: Any) -> Any:
        connection = connections[options["database"]]
        with connection.as_owner():
            grant_future_tables(connection, connection.serving_role)
            return super().handle(*args, **options)
