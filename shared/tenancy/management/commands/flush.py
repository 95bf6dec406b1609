"""`flush`, as the role that owns the tables."""

from typing import Any

from django.core.management.commands.flush import Command as DjangoFlush
from django.db import connections


class Command(DjangoFlush):
    """Django's own, run as the owner whatever role serves."""

    def handle(self, *args: Any, **options: Any) -> Any:
        connection = connections[options["database"]]
        with connection.as_owner():
            return super().handle(*args, **options)
