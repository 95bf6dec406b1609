"""The door for management commands: an operator names the creator, and the command sees that one's rows only."""

from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from shared.tenancy.actor import Actor, Role
from shared.tenancy.run import run_as

# Whoever has a shell on the server is nobody the hub knows; what is written says so.
OPERATOR = UUID(int=0)


class TenantCommand(BaseCommand):
    """Takes `--creator`, and runs `handle_for(actor, **options)` as a service: in that scope, in one transaction.

    Exits with an error for something that is no UUID and for a creator that does not exist.
    """

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--creator", type=UUID, required=True, help="The id of the creator to work for.")

    def handle(self, *args: Any, creator: UUID, **options: Any) -> str | None:
        if not apps.get_model(settings.CREATOR_MODEL)._default_manager.filter(pk=creator).exists():
            raise CommandError(f"There is no creator {creator}.")
        actor = Actor(OPERATOR, creator, Role.OWNER, acting_reason=f"command {type(self).__module__}")
        said: str | None = async_to_sync(run_as)(actor, self.handle_for, **options)
        return said

    def handle_for(self, actor: Actor, /, **options: Any) -> str | None:
        """Do the work. What it returns is printed."""
        raise NotImplementedError
